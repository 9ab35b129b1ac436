"""A LoRA adapter in a live model: only its matrices are trained and saved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import peft
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from selftrain.errors import ModelError, SettingsError
from selftrain.models.adapter import ADAPTER_CONFIG, AdapterConfig
from selftrain.models.loading import without_bars
from selftrain.models.merging import is_adapters, merged_weights
from selftrain.training import tensors
from selftrain.training.seeding import chance

WEIGHTS = "adapter_model.safetensors"
#: What peft puts in front of the names of a model's parameters, and what it calls the one adapter of a model.
_PREFIX, _NAME = "base_model.model.", "default"


class LoraAdapter:
    """
    Args:
        model: gets the adapter into its linear layers, and stays the module it is.
        base: folder or hub id that the model was loaded from, to which `load` goes back.

    Raises:
        SettingsError: the model has no such layers.
        ModelError: the model was loaded from an adapter.
    """

    def __init__(self, model: Any, adapter: AdapterConfig, base: str, revision: str = "main") -> None:
        if (Path(base) / ADAPTER_CONFIG).exists():
            raise ModelError(
                f"{base!r} is an adapter",
                "the new adapter would be of no use without this one, and peft can load only one beside a whole model",
                "save the two as one first: peft's AutoPeftModelForCausalLM.from_pretrained(...).merge_and_unload()",
            )
        self._model, self._base = model, base
        self._config = peft.LoraConfig(
            r=adapter.lora_r, lora_alpha=adapter.lora_alpha, lora_dropout=adapter.lora_dropout,
            target_modules=_targets(adapter), task_type="CAUSAL_LM", revision=revision,
        )  # fmt: skip
        try:
            model.add_adapter(self._config, _NAME)
        except ValueError as error:
            raise SettingsError(
                f"lora_target_modules is {adapter.lora_target_modules}: {str(error).splitlines()[0]}",
                "an adapter belongs to linear layers",
                "name layers of this model, or give --lora_target_modules all-linear",
            ) from error
        for value in tensors.live(model).values():
            # Beside weights of 4 bits peft makes them bfloat16, in which small updates vanish.
            value.data = value.data.float()
        head = model.get_output_embeddings()
        if hasattr(head, "base_layer") and model.config.tie_word_embeddings:
            raise SettingsError(
                "lora_target_modules adapts the model's head",
                "this model's head is its embedding, which would have to change with it",
                "leave it out of --lora_target_modules",
            )
        # Its dropout is new, and new modules are in training.
        model.eval()
        #: Whether nobody has trained it.
        self._is_new = True

    def begin(self, seed: str) -> None:
        if self._is_new:
            with chance(self._model.device, f"{seed}/adapter"):
                for layer in self._layers():
                    layer.reset_lora_parameters(_NAME, init_lora_weights=True)
        self._is_new = False

    def load(self, weights: str | Path) -> None:
        if str(weights) == self._base:
            self._forget()
            return
        file, ours = Path(weights) / WEIGHTS, self._tensors()
        try:
            saved = load_file(file)
        except (OSError, SafetensorError) as error:
            raise ModelError(f"cannot read {file}: {error}", "it has to hold an adapter of this model") from error
        if {name: one.shape for name, one in saved.items()} != {name: one.shape for name, one in ours.items()}:
            raise ModelError(f"{file} is no adapter of this model", "its matrices have other names or sizes")
        for name, one in ours.items():
            one.copy_(saved[name])
        self._is_new = False

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        save_file({name: one.contiguous() for name, one in self._tensors().items()}, folder / WEIGHTS)
        # Of what is loaded for inference nothing is trained; a local base is found from any working folder.
        local = Path(self._base).is_dir()
        told = self._config.to_dict() | {"inference_mode": True, "base_model_name_or_path": self._base}
        told |= {"base_model_name_or_path": str(Path(self._base).resolve())} if local else {}
        (folder / ADAPTER_CONFIG).write_text(json.dumps(told, indent=2, sort_keys=True, default=_plain) + "\n")

    def save_merged(self, folder: Path) -> None:
        merged = merged_weights(self._model)
        self._model._hf_peft_config_loaded = False  # else transformers saves the adapter alone
        try:
            with without_bars():
                self._model.save_pretrained(folder, state_dict=merged)
        finally:
            self._model._hf_peft_config_loaded = True

    def _forget(self) -> None:
        for layer in self._layers():
            layer.lora_B[_NAME].weight.detach().zero_()
        self._is_new = True

    def _layers(self) -> list[Any]:
        return [one for one in self._model.modules() if isinstance(one, peft.tuners.lora.LoraLayer)]

    def _tensors(self) -> dict[str, Tensor]:
        """The adapter's matrices themselves, as peft names them in a file."""
        named = ((name, one) for name, one in self._model.named_parameters() if is_adapters(name))
        return {_PREFIX + name.replace(f".{_NAME}.weight", ".weight"): one.detach() for name, one in named}


def _targets(adapter: AdapterConfig) -> list[str] | str | None:
    if adapter.lora_target_modules == ("all-linear",):
        return "all-linear"
    return None if adapter.lora_target_modules is None else [*adapter.lora_target_modules]


def _plain(value: object) -> object:
    """Sets in an order that no process's hashes decide, so that a run's bytes do not either."""
    return sorted(value) if isinstance(value, set) else str(value)
