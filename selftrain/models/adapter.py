"""Settings of LoRA adapters."""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec

from selftrain.config import config_dataclass, setting, settings_of
from selftrain.errors import SettingsError

#: In the folder of an adapter; names its base model.
ADAPTER_CONFIG = "adapter_config.json"
#: A trained adapter's matrices beside the whole model that it is merged into, to go on training. Programs take every
#: *.safetensors of a folder for weights of the model.
MATRICES = "lora_matrices.tensors"


@config_dataclass
class AdapterConfig:
    """LoRA (arXiv 2106.09685) and QLoRA (arXiv 2305.14314) through peft, under TRL's names. Defaults are TRL's, but for
    dropout.
    """

    use_peft: bool = setting(
        False,
        "train a LoRA adapter and freeze the model's own weights; use about ten times the learning rate of full "
        "training",
        source="TRL",
        essential=True,
    )
    lora_r: int = setting(16, "rank of the adapter's matrices", source="TRL", ge=1)
    lora_alpha: int = setting(32, "the adapter's output is scaled by lora_alpha / lora_r", source="TRL", ge=1)
    lora_dropout: float = setting(
        0.0,
        "dropout on the adapter's inputs in training; with it, worked examples that all prompts share are computed "
        "again for each answer that is trained on",
        source="peft",
        ge=0,
        lt=1,
    )
    lora_target_modules: tuple[str, ...] | None = setting(
        None,
        "names of the layers to adapt, such as q_proj v_proj, or all-linear; by default peft's choice for the model",
        source="TRL",
        min_items=1,
    )
    load_in_4bit: bool = setting(
        False, "QLoRA: keep the model's own weights in 4 bits (NF4) with bitsandbytes; slow without a GPU", source="TRL"
    )

    def check(self) -> None:
        if self.load_in_4bit and not self.use_peft:
            raise SettingsError(
                "load_in_4bit is set without use_peft",
                "4-bit weights cannot be trained, only an adapter beside them",
                "add --use_peft",
            )

        unread = [t.name for t in settings_of(AdapterConfig) if getattr(self, t.name) != t.default]
        if unread and not self.use_peft:
            raise SettingsError(
                f"{' and '.join(unread)} {'is' if len(unread) == 1 else 'are'} given without use_peft",
                "all weights are trained then, and nothing would read it",
                "add --use_peft, or leave it out",
            )

    def require_packages(self) -> None:
        """
        Raises:
            SettingsError: a package that the settings need is not installed, or is one that transformers refuses.
        """
        for name, is_set, package, extra in (
            ("use_peft", self.use_peft, "peft", "peft"),
            ("load_in_4bit", self.load_in_4bit, "bitsandbytes", "quantization"),
        ):
            if is_set and find_spec(package) is None:
                raise SettingsError(
                    f"{name} is set, and {package} is not installed",
                    "it is an optional dependency",
                    f"pip install 'selftrain[{extra}]'",
                )
        if self.use_peft:
            _require_peft_that_transformers_takes()


def _require_peft_that_transformers_takes() -> None:
    """The adapter is inserted by transformers, which asks for a newer peft from time to time.

    Raises:
        SettingsError: the one that is installed is older.
    """
    from transformers.integrations.peft import MIN_PEFT_VERSION
    from transformers.utils import check_peft_version

    try:
        check_peft_version(MIN_PEFT_VERSION)
    except ValueError as error:
        installed = version("transformers")
        older = ".".join(installed.split(".")[:2])
        raise SettingsError(
            f"use_peft is set, and transformers {installed} refuses peft {version('peft')}",
            f"it asks for {MIN_PEFT_VERSION} or newer, and inserts the adapter",
            f"pip install 'peft>={MIN_PEFT_VERSION}'; where there is none yet, pip install 'transformers<{older}'",
        ) from error
