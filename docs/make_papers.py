"""Rewrites docs/papers.md from the settings themselves: `python docs/make_papers.py`. A test keeps the two equal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from selftrain.config import settings_of
from selftrain.evaluation import EvalConfig
from selftrain.loop.collapse_monitor import MonitorConfig
from selftrain.methods import METHODS
from selftrain.models.prompts import PromptConfig
from selftrain.training.base import TrainingConfig

HEADER = """# Every default and its source

Written by `python docs/make_papers.py` from the settings themselves. "ours" means that no source states it: our choice,
never the paper's. Papers: ReST-EM is arXiv 2312.06585 (v4), SePT arXiv 2510.18814 (v2), PST arXiv 2604.13356.

The ReST-EM paper does not state: learning rate, batch size, epochs, optimiser, schedule, the size of D_val, the maximum
length, the text of the prompt, de-duplication, or which ten correct solutions are kept. It reports single runs, without
intervals.

The SePT paper does not state: seeds, how the reported round is chosen, the maximum lengths (its code does), or a
learning rate for small models.

Of the PST paper the full text was not to be had. Known are the abstract and one reader's notes; learning rate, rounds,
batch, prompts, the scale of the PMI and the size of everything else are unknown. [Where they conflict](methods/pst.md).

A method's own settings come first. Training and evaluation have common settings; under a method stands what it sets
otherwise. The source of a common setting is that of the default, not of every method that takes it over.
"""


def table(settings: Sequence[Any]) -> list[str]:
    rows = [f"| `{s.name}` | `{s.default!r}` | {s.source} | {s.help.replace('|', '/')} |" for s in settings]
    return ["| setting | default | source | meaning |", "|---|---|---|---|", *rows, ""]


def otherwise(section: type[Any], common: type[Any]) -> list[Any]:
    """The settings that a subclass states anew."""
    known = {s.name: s for s in settings_of(common)}
    return [s for s in settings_of(section) if s != known.get(s.name)]


def papers() -> str:
    lines = [HEADER]
    for name, method in METHODS.items():
        lines += [f"## {name}", "", *table(settings_of(method))]
        for profile, changes in method.profiles.items():
            changed = ", ".join(f"`{key}: {value!r}`" for key, value in changes.items()) or "as in the tables"
            lines.append(f"- profile `{profile}`: {changed}")
        lines.append("")
        parts: list[tuple[str, Any, type[Any]]] = [
            ("Training", method.training, TrainingConfig),
            ("Evaluation", method.evaluation, EvalConfig),
        ]
        for title, own, common in parts:
            if changed_here := otherwise(type(own), common):
                lines += [f"### {title} of {name}, where it differs", "", *table(changed_here)]
    for title, section in (
        ("Training", TrainingConfig), ("Evaluation", EvalConfig), ("Watch", MonitorConfig), ("Prompts", PromptConfig),
    ):  # fmt: skip
        lines += [f"## {title}", "", *table(settings_of(section))]
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("papers.md").write_text(papers(), encoding="utf-8")
