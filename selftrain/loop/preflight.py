"""Checks before a run costs anything."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from selftrain.errors import DataError, SettingsError
from selftrain.loop.learner import Learner
from selftrain.methods.base import Method
from selftrain.models.prompts import PromptConfig
from selftrain.types import Prompt


def name_models(method: Method, model: str | Sequence[str]) -> dict[str, str]:
    """A unique name for each model -> its folder or hub id.

    Raises:
        SettingsError: more or fewer models than the method can use.
    """
    paths = [model] if isinstance(model, str) else list(model)
    if method.needs_peers and len(paths) < 2:
        raise SettingsError(
            f"{method.name} was given {len(paths)} model", "its models learn from one another", "give --models a b c"
        )
    if not method.needs_peers and len(paths) != 1:
        raise SettingsError(f"{method.name} was given {len(paths)} models", "it trains one", "give one model")
    names: dict[str, str] = {}
    for path in paths:
        name = Path(path).name or path
        count = sum(known == name or known.startswith(f"{name}-") for known in names)
        names[f"{name}-{count + 1}" if count else name] = path
    return names


def too_long_problems(
    learner: Learner, prompts: Sequence[Prompt], max_completion_length: int, config: PromptConfig
) -> set[str]:
    """Ids of the problems whose prompts leave no room for a response, where those are to be dropped.

    Raises:
        DataError: there are some and they are not to be dropped.
    """
    found = learner.engine.too_long(prompts, max_completion_length)
    if found and config.long_prompts == "error":
        first = ", ".join(f"{problem_id} ({length:,} tokens)" for problem_id, length in found[:5])
        raise DataError(
            f"{len(found):,} of {len(prompts):,} prompts are too long: {first}",
            f"with up to {max_completion_length:,} tokens of response they exceed the context of {learner.base}",
            "use --long_prompts drop, lower --max_completion_length, or show fewer worked examples",
        )
    return {problem_id for problem_id, _ in found}
