"""Three tiny base models that ship with the package, imperfect in the ways that real base models are.

Trained from random weights on made-up word problems, and able to solve nothing else; `seeds/` in the repository has the
script, the corpus and the recorded results.
"""

from __future__ import annotations

from pathlib import Path

from selftrain.errors import ModelError

SEED_MODELS = ("llama", "qwen2", "gemma2")


def seed_model(name: str) -> str:
    """Folder of a seed model, for `model=` or `--model_name_or_path`.

    Raises:
        ModelError: there is no seed model of that name.
    """
    if name not in SEED_MODELS:
        raise ModelError(f"there is no seed model {name!r}", "", f"use one of {', '.join(SEED_MODELS)}")
    return str(Path(__file__).parent / name)
