"""Generates docs/papers.md from the settings: `python docs/make_papers.py`. A test keeps the two equal."""

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

Generated from the settings by `python docs/make_papers.py`. "ours" means that no source states it: our choice, never
the paper's. Papers: ReST-EM is arXiv 2312.06585 (v4), SePT arXiv 2510.18814 (v2), PST arXiv 2604.13356.

The ReST-EM paper does not state: learning rate, batch size, epochs, optimiser, schedule, the size of D_val, the maximum
length, the text of the prompt, de-duplication, or which ten correct solutions are kept. It reports single runs, without
intervals.

The SePT paper does not state: seeds, how the reported round is chosen, the maximum lengths (its code does), or a
learning rate for small models.

Of the PST paper only the abstract and one reader's notes are available; learning rate, rounds, batch size, prompts, the
scale of the PMI and all sizes are unknown. [Where they conflict](methods/pst.md).

A method's own settings come first. Training and evaluation have common settings; under a method are those whose default
it changes. The source of a common setting is that of its default, not of every method that keeps it.
"""


def table(settings: Sequence[Any]) -> list[str]:
    rows = [f"| `{s.name}` | `{s.default!r}` | {s.source} | {s.help.replace('|', '/')} |" for s in settings]
    return ["| setting | default | source | meaning |", "|---|---|---|---|", *rows, ""]


def changed_in(section: type[Any], common: type[Any]) -> list[Any]:
    """The settings whose default a subclass changes."""
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
        for title, own, base in parts:
            if changed_here := changed_in(type(own), base):
                lines += [f"### {title} of {name}, where they differ", "", *table(changed_here)]
    common = {"Training": TrainingConfig, "Evaluation": EvalConfig, "Monitor": MonitorConfig, "Prompts": PromptConfig}
    for title, section in common.items():
        lines += [f"## {title}", "", *table(settings_of(section))]
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("papers.md").write_text(papers(), encoding="utf-8")
