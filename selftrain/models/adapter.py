"""Training an adapter instead of all weights, and what is to be known of one that was saved."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from selftrain.config import check_at_least_one, check_types, setting
from selftrain.errors import SettingsError

#: Of a folder that holds an adapter; it names the model that the adapter belongs to.
ADAPTER_CONFIG = "adapter_config.json"


@dataclass(frozen=True, kw_only=True)
class AdapterConfig:
    """LoRA (arXiv 2106.09685) and QLoRA (arXiv 2305.14314) through peft, under TRL's names and with its defaults."""

    use_peft: bool = setting(
        False, "train a LoRA adapter and leave the model's own weights as they are; a learning rate some ten times "
        "that of full training suits it", source="TRL",
    )  # fmt: skip
    lora_r: int = setting(16, "rank of the adapter's matrices", source="TRL")
    lora_alpha: int = setting(32, "what the adapter adds is multiplied by this over the rank", source="TRL")
    lora_dropout: float = setting(0.05, "share of the adapter's inputs that is dropped in training", source="TRL")
    lora_target_modules: tuple[str, ...] | None = setting(
        None, "names of the layers that are adapted, or all-linear; by default what peft adapts in such a model",
        source="TRL",
    )  # fmt: skip
    load_in_4bit: bool = setting(
        False, "QLoRA: keep the model's own weights in 4 bits (NF4), by bitsandbytes; slow without a GPU", source="TRL"
    )

    def __post_init__(self) -> None:
        check_types(self)
        check_at_least_one(self, "lora_r", "lora_alpha")
        if not 0 <= self.lora_dropout < 1:
            raise SettingsError(f"lora_dropout is {self.lora_dropout}", "it is a share of the inputs", "use 0 to 0.99")
        if self.load_in_4bit and not self.use_peft:
            raise SettingsError(
                "load_in_4bit is set without use_peft",
                "weights of 4 bits cannot be trained, only an adapter beside them",
                "add --use_peft",
            )
        if self.lora_target_modules is not None and not self.lora_target_modules:
            raise SettingsError(
                "lora_target_modules is empty",
                "nothing would be trained",
                "leave it out, or name layers: q_proj v_proj",
            )

    def require_packages(self) -> None:
        """
        Raises:
            SettingsError: what this needs is not installed.
        """
        extras = {"use_peft": ("peft", "peft"), "load_in_4bit": ("bitsandbytes", "quantization")}
        for name, (package, extra) in extras.items():
            if getattr(self, name) and find_spec(package) is None:
                raise SettingsError(
                    f"{name} is set, and {package} is not installed",
                    "it is no part of a plain installation",
                    f"pip install 'selftrain[{extra}]'",
                )


def base_of(name_or_path: str, revision: str = "main") -> tuple[str, str]:
    """The model itself and its revision; of an adapter's folder those of the model it belongs to."""
    config = Path(name_or_path) / ADAPTER_CONFIG
    if not config.exists():
        return name_or_path, revision
    told = json.loads(config.read_text(encoding="utf-8"))
    return told["base_model_name_or_path"], told.get("revision") or "main"
