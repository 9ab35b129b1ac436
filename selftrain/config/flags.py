"""The settings of a command as flags: argparse splits the words and formats the help; it validates no value."""

from __future__ import annotations

import argparse
import functools
import itertools
import textwrap
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from selftrain.config.fields import Setting, settings_in, settings_of
from selftrain.config.given import Given, Origin, Plain, unknown
from selftrain.config.values import item_type
from selftrain.errors import SettingsError

#: Words after a switch that are its value. Only the first two are valid; the others get an error.
SWITCH_WORDS = ("true", "false", "yes", "no", "on", "off", "1", "0")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise SettingsError(
            message, do=f"write a value that starts with - as --name=value; all settings: {self.prog} --help"
        )


def make_parser(
    prog: str,
    summary: str,
    sections: Mapping[str, type[Any]],
    profiles: Collection[str] = (),
    *,
    examples: Sequence[str] = (),
    brief: bool = False,
) -> argparse.ArgumentParser:
    """
    Args:
        examples: commands, shown below the settings.
        brief: the help shows the essential settings alone.
    """
    free = [name.upper() for name, target in settings_in(sections).items() if target.positional]
    parser = _Parser(
        prog=prog,
        usage=" ".join([prog, *free, "[--config FILE] [--name value ...]"]),
        description=textwrap.fill(summary, 78),
        epilog="\n".join(_epilog(len(settings_in(sections)), prog, examples, brief=brief)),
        formatter_class=functools.partial(argparse.RawDescriptionHelpFormatter, max_help_position=8),
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--config",
        action="append",
        type=Path,
        metavar="FILE",
        help="YAML file of settings; flags override it, and a later file an earlier one",
    )
    parser.add_argument(
        "--print_config", action="store_true", help="print every setting and its origin as YAML, and exit"
    )
    for name, section in sections.items():
        group = parser.add_argument_group(name)
        for target in settings_of(section):
            shown = not brief or target.essential
            _add(group, replace(target, choices=(*profiles,)) if target.name == "profile" else target, shown=shown)
    return parser


def _epilog(settings: int, prog: str, examples: Sequence[str], *, brief: bool) -> Iterator[str]:
    yield "A true|false setting is set by --name, --name false or --no_name."
    if brief:
        yield f"All {settings} settings: {prog} --help all"
    if examples:
        yield "\nexamples:"
        yield from (f"  {line}" for line in examples)


def _add(group: argparse._ArgumentGroup, target: Setting, *, shown: bool) -> None:
    item = item_type(target.type)
    # argparse formats help texts with %.
    text = target.describe().replace("%", "%%") if shown else argparse.SUPPRESS
    if target.positional:
        # Never required by argparse: it may come from the file.
        group.add_argument(target.name, nargs="?" if item is None else "*", metavar=target.name.upper(), help=text)
    elif item is not None:
        group.add_argument(f"--{target.name}", nargs="*", action="extend", metavar=target.metavar(), help=text)
    else:
        group.add_argument(f"--{target.name}", metavar=target.metavar(), help=text)
    if target.type is bool:
        group.add_argument(
            f"--no_{target.name}", dest=target.name, action="store_const", const="false", help=argparse.SUPPRESS
        )


def read_flags(
    parser: argparse.ArgumentParser, sections: Mapping[str, type[Any]], argv: Sequence[str]
) -> tuple[list[Path], dict[str, Given]]:
    """The files named by --config, and the settings given in `argv`, by name."""
    targets = settings_in(sections)
    switches = {f"--{name}" for name, target in targets.items() if target.type is bool}
    # `--json RUN` is --json and RUN; argparse would take RUN for the value of --json.
    words = [
        f"{word}=true" if word in switches and after.lower() not in SWITCH_WORDS else word
        for word, after in itertools.zip_longest(argv, argv[1:], fillvalue="")
    ]
    known, rest = parser.parse_known_intermixed_args(words)
    for word in rest:
        if word.startswith("-"):
            flag = word.partition("=")[0]
            names = [name for name, target in targets.items() if not target.positional]
            raise unknown(f"{flag} is not a flag of {parser.prog}", flag.lstrip("-"), names, prefix="--")
    if rest:
        raise SettingsError(
            f"{rest[0]!r} is not a setting", "it is neither a flag nor the value of one", f"see {parser.prog} --help"
        )
    return vars(known).pop("config", []), {
        name: Given(_plain(value), Origin("flag", name.upper() if targets[name].positional else f"--{name}"))
        for name, value in vars(known).items()
        if name in targets
    }


def _plain(value: str | list[str]) -> object:
    if isinstance(value, str):
        return Plain(value)
    # A list of one may also be a lone `none`.
    return Plain(value[0]) if len(value) == 1 else [Plain(item) for item in value]
