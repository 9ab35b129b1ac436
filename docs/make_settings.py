"""Generates docs/settings.md from the settings: `python docs/make_settings.py`. A test keeps the two equal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from selftrain.cli.command import all_commands
from selftrain.cli.commands.train import run_sections
from selftrain.config import Sections, Setting, settings_of
from selftrain.config.values import yaml_text
from selftrain.evaluation import EvalConfig
from selftrain.methods import METHODS
from selftrain.training.base import TrainingConfig

HEADER = """# Every setting, its default and its source

Generated from the settings by `python docs/make_settings.py`. One name in three places: `--num_rounds 3` on the command
line, `num_rounds: 3` in a file for `--config`, flat or under the name of its section, and
`selftrain.RestEM(num_rounds=3)` in Python. Flags override files, files a profile, a profile the defaults;
`--print_config` shows what came of it, and from where.

```bash
selftrain schema rest-em > rest-em.schema.json    # JSON schema of such a file; also of sept, pst, eval, ...
```

An editor that knows YAML then completes and checks a file whose first line is
`# yaml-language-server: $schema=rest-em.schema.json`.

"ours" means that no source states it: our choice, never the paper's. Papers: ReST-EM is arXiv 2312.06585 (v4), SePT
arXiv 2510.18814 (v2), PST arXiv 2604.13356.

The ReST-EM paper does not state: learning rate, batch size, epochs, optimiser, schedule, the size of D_val, the maximum
length, the text of the prompt, de-duplication, or which ten correct solutions are kept. It reports single runs, without
intervals.

The SePT paper does not state: seeds, how the reported round is chosen, the maximum lengths (its code does), or a
learning rate for small models.

Of the PST paper only the abstract and one reader's notes are available; learning rate, rounds, batch size, prompts, the
scale of the PMI and all sizes are unknown. [Where they conflict](methods/pst.md).

A method's own settings come first, with what it changes in the sections that all methods have; those follow. The source
of a common setting is that of its default, not of every method that keeps it.
"""


def table(settings: Sequence[Setting]) -> list[str]:
    def cell(text: str) -> str:
        return text.replace("|", "\\|")

    rows = [
        f"| `{s.name}` | {cell(s.expected())} | {_default(s)} | {cell(s.help)} | {cell(s.source)} |" for s in settings
    ]
    return ["| setting | values | default | meaning | source |", "|---|---|---|---|---|", *rows, ""]


def _default(s: Setting) -> str:
    return f"required: `{s.example}`" if s.required else f"`{yaml_text(s.default)}`"


def changed_in(section: type[Any], common: type[Any]) -> list[Setting]:
    """The settings that another section adds, or whose default it changes."""
    known = {s.name: s for s in settings_of(common)}
    return [s for s in settings_of(section) if s != known.get(s.name)]


def of_method(name: str, common: Sections) -> list[str]:
    method = METHODS[name]
    lines = [f"## {name}", "", *table(settings_of(method))]
    for profile, changes in method.profiles.items():
        changed = ", ".join(f"`{key}: {yaml_text(value)}`" for key, value in changes.items()) or "as in the tables"
        lines.append(f"- profile `{profile}`: {changed}")
    lines.append("")
    for key, section in run_sections(method).items():
        changed_here = changed_in(section, common[key]) if key != "method" else []
        if changed_here:
            lines += [f"### {key} of {name}, where it differs", "", *table(changed_here)]
    return lines


def settings_page() -> str:
    common = {**run_sections(METHODS["rest-em"]), "training": TrainingConfig, "evaluation": EvalConfig}
    methods = [line for name in METHODS for line in of_method(name, common)]
    lines = [HEADER, *methods, "## Sections that every method has", ""]
    for key, section in common.items():
        if key != "method":
            lines += [f"### {key}", "", *table(settings_of(section))]
    lines += ["## Settings of other commands", ""]
    shown = {*common.values(), *METHODS.values()}
    for name, found in sorted(all_commands().items()):
        own = [section for section in found.sections().values() if section not in shown]
        if own and not found.profiles:
            lines += [f"### {name}", "", *table([s for section in own for s in settings_of(section)])]
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("settings.md").write_text(settings_page(), encoding="utf-8")
