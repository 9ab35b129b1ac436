"""Commands register themselves: each module of `selftrain.cli.commands` holds the settings and the work of one."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from selftrain.config import Given, Profiles, Resolved, Sections, parse

#: Headings of `selftrain --help`, in their order.
Group = Literal["Train", "Evaluate", "Inspect a run", "Tools"]
#: Takes the settings and returns the exit code; of a resumable command it also takes `resume=True`.
Run = Callable[..., int]


@dataclass(frozen=True)
class Command:
    """A word after `selftrain`.

    Command("env", "print what a bug report needs", "Tools", lambda: {"env": EnvConfig}, run)
    """

    name: str
    summary: str
    group: Group
    #: Called when the command is used, so that `selftrain --help` imports no more than it prints.
    sections: Callable[[], Sections]
    run: Run
    #: Other defaults by the value of `--profile`.
    profiles: Profiles = field(default_factory=dict)
    #: Whether `selftrain resume` can continue what it began.
    resumable: bool = False
    #: Whole commands, shown by `--help`.
    examples: Sequence[str] = ()
    #: Of a command whose sections depend on its words.
    parse_words: Callable[[Sequence[str]], Resolved] | None = None

    def parse(self, argv: Sequence[str], recorded: Mapping[str, Given] | None = None) -> Resolved:
        """The settings in `argv`, over those of an earlier run. Raises as `selftrain.config.parse`."""
        if self.parse_words is not None:
            return self.parse_words(argv)
        return parse(
            self.sections(),
            argv,
            prog=f"selftrain {self.name}",
            summary=self.summary,
            profiles=self.profiles,
            recorded=recorded,
            examples=self.examples,
        )


_COMMANDS: dict[str, Command] = {}


def command(
    name: str,
    summary: str,
    group: Group,
    sections: Callable[[], Sections],
    *,
    profiles: Profiles | None = None,
    resumable: bool = False,
    examples: Sequence[str] = (),
    parse_words: Callable[[Sequence[str]], Resolved] | None = None,
) -> Callable[[Run], Run]:
    """Registers the decorated function as a command; the arguments are the fields of `Command`."""

    def register(run: Run) -> Run:
        _COMMANDS[name] = Command(
            name, summary, group, sections, run=run, profiles=profiles or {}, resumable=resumable, examples=examples,
            parse_words=parse_words,
        )  # fmt: skip
        return run

    return register


def all_commands() -> Mapping[str, Command]:
    """Every command by its name. Nothing heavy is imported."""
    from selftrain.cli import commands

    for module in pkgutil.iter_modules(commands.__path__, f"{commands.__name__}."):
        importlib.import_module(module.name)
    return _COMMANDS
