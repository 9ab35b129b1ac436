"""The `selftrain` command: finds the subcommand, reads its settings, calls its handler."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from selftrain.config.given import unknown
from selftrain.config.resolve import Command, parse
from selftrain.errors import SelftrainError


def run_cli(commands: Sequence[Command], argv: Sequence[str], prog: str = "selftrain") -> int:
    """Runs one command; a named failure becomes a message on stderr and its exit code."""
    try:
        return _dispatch({command.name: command for command in commands}, list(argv), prog)
    except SelftrainError as error:
        print(f"{prog}: {error}", file=sys.stderr)
        return error.exit_code


def _dispatch(commands: dict[str, Command], argv: list[str], prog: str) -> int:
    if not argv or argv[0] in ("-h", "--help"):
        print(_overview(commands, prog))
        return 0
    name, *words = argv
    if name not in commands:
        raise unknown(f"{name} is not a command", name, commands)
    settings = parse(commands[name], words, prog)
    if "--print_config" in words:
        print(settings.to_yaml(), end="")
        return 0
    module, _, function = commands[name].handler.partition(":")
    return int(getattr(importlib.import_module(module), function)(settings))


def _overview(commands: dict[str, Command], prog: str) -> str:
    width = max(map(len, commands))
    lines = [f"  {name:<{width}}  {command.summary}" for name, command in commands.items()]
    return "\n".join([f"usage: {prog} COMMAND ...", "", *lines, "", f"{prog} COMMAND --help shows its settings."])
