"""Which model an engine loads: in this process, or in another one that is sent this."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from selftrain.models.prompts import PromptConfig


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """
    ModelSpec(model="Qwen/Qwen2.5-0.5B", name="qwen", prompt_config=PromptConfig())

    Args:
        model: a local folder or a hub id.
        name: how samples name the model.
        batch_size: sequences computed at once.
        bf16: generate under bfloat16 autocast.
    """

    model: str
    name: str
    prompt_config: PromptConfig
    revision: str = "main"
    batch_size: int = 128
    bf16: bool = False
    load_in_4bit: bool = False

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(**{**data, "prompt_config": PromptConfig.from_dict(data["prompt_config"])})
