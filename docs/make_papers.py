"""Rewrites docs/papers.md from the settings themselves: `python docs/make_papers.py`. A test keeps the two equal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from selftrain.evaluation import Evaluation
from selftrain.methods import METHODS, PROFILES
from selftrain.prompts import Prompting
from selftrain.settings import settings_of

HEADER = """# Every default and its source

Written by `python docs/make_papers.py` from the settings themselves. "ours" means that no source states it: our choice,
never the paper's. Papers: ReST-EM is arXiv 2312.06585 (v4).

The ReST-EM paper does not state: learning rate, batch size, epochs, optimiser, schedule, the size of D_val, the maximum
length, the text of the prompt, de-duplication, or which ten correct solutions are kept. It reports single runs, without
intervals.
"""


def table(section: type[Any]) -> list[str]:
    rows = [f"| `{s.name}` | `{s.default!r}` | {s.source} | {s.help.replace('|', '/')} |" for s in settings_of(section)]
    return ["| setting | default | source | meaning |", "|---|---|---|---|", *rows, ""]


def papers() -> str:
    lines = [HEADER]
    for name, method in METHODS.items():
        lines += [f"## {name}", "", *table(method)]
        for profile, changes in PROFILES[name].items():
            changed = ", ".join(f"`{key}: {value!r}`" for key, value in changes.items()) or "as in the tables"
            lines.append(f"- profile `{profile}`: {changed}")
        lines += ["", f"## Training ({name})", "", *table(type(method.learning))]
    lines += ["## Evaluation", "", *table(Evaluation), "## Prompts", "", *table(Prompting)]
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("papers.md").write_text(papers(), encoding="utf-8")
