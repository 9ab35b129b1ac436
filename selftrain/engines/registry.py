"""The engines that `--engine` can name: a line each below, and entry points of other packages.

An entry point of the group `selftrain.engines` names an `EngineEntry`; the engine's name is that of the entry point:

    [project.entry-points."selftrain.engines"]
    mine = "my_engine:ENTRY"
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pkgutil import resolve_name
from typing import Any

from selftrain.engines.server.config import ServerConfig
from selftrain.engines.vllm.config import VllmConfig
from selftrain.errors import SettingsError

GROUP = "selftrain.engines"


@dataclass(frozen=True, kw_only=True)
class EngineUsage:
    """What a run will ask of its engine, known before anything is loaded."""

    #: Responses from more than one set of weights: a model that trains, or one beside a baseline.
    several_weights: bool = False
    top_k: int = 0
    ray: bool = False
    load_in_4bit: bool = False


@dataclass(frozen=True)
class EngineEntry:
    """
    EngineEntry("selftrain.engines.vllm.engine:build", config=VllmConfig)

    Functions are named as "module:function", and imported when they are called: they may need heavy libraries.
    """

    #: `(EngineContext) -> Engine`
    build: str
    #: `(config, EngineUsage) -> None`: raises a SettingsError for what cannot work, before anything is loaded.
    check: str | None = None
    #: The settings that only this engine reads, and the name of their section, by default the engine's.
    config: type[Any] | None = None
    section: str = ""
    #: It generates from the very weights that are trained. Only such an engine works with 4-bit weights and on Ray.
    in_process: bool = False

    def options(self, name: str, sections: Mapping[str, Any]) -> Any:
        """The engine's own section of settings, with its defaults where it is not among `sections`."""
        return sections.get(self.section or name) or (self.config and self.config())

    def builder(self) -> Callable[[Any], Any]:
        build: Callable[[Any], Any] = resolve_name(self.build)
        return build


ENGINES: Mapping[str, EngineEntry] = {
    "auto": EngineEntry("selftrain.engines.packed.select:build", in_process=True),
    "transformers": EngineEntry("selftrain.engines.context:reference_engine", in_process=True),
    "vllm": EngineEntry(
        "selftrain.engines.vllm.engine:build", check="selftrain.engines.vllm.find_vllm:check", config=VllmConfig
    ),
    "openai": EngineEntry(
        "selftrain.engines.server.engine:build",
        check="selftrain.engines.server.check:check",
        section="server",
        config=ServerConfig,
    ),
}


@cache
def _entry_points() -> Mapping[str, EntryPoint]:
    return {found.name: found for found in entry_points(group=GROUP) if found.name not in ENGINES}


def engine_names() -> tuple[str, ...]:
    return (*ENGINES, *_entry_points())


def find_engine(name: str) -> EngineEntry:
    """
    Raises:
        SettingsError: no engine has this name, or the package that brings it cannot be imported.
    """
    if name in ENGINES:
        return ENGINES[name]
    if name not in _entry_points():
        raise SettingsError(
            f"engine is {name!r}, which is not installed",
            f"the engines are: {', '.join(engine_names())}",
            f"use one of them, or install the package that brings it (entry point group {GROUP})",
        )
    try:
        entry: EngineEntry = _entry_points()[name].load()
    except Exception as error:
        raise SettingsError(
            f"engine {name!r} cannot be loaded from {_entry_points()[name].value}: {type(error).__name__}: {error}",
            "the package that registers it is broken here",
            "repair or uninstall that package, or use another engine",
        ) from error
    return entry


def engine_sections() -> dict[str, type[Any]]:
    """The sections of settings that only one engine reads, by name. A package that cannot be imported adds none."""
    return {section: config for section, (_, config) in _sections().items()}


def _sections() -> dict[str, tuple[str, type[Any]]]:
    """By name of the section: the engine that reads it, and its dataclass."""
    found = {}
    for name in engine_names():
        try:
            entry = find_engine(name)
        except SettingsError:  # raised when this engine is asked for
            continue
        if entry.config is not None:
            found[entry.section or name] = name, entry.config
    return found


def check_engine(name: str, sections: Mapping[str, Any], usage: EngineUsage) -> None:
    """
    Args:
        sections: settings by the names of `engine_sections`; those left out have their defaults.

    Raises:
        SettingsError: the engine cannot do what is asked, or settings were given that it does not read.
    """
    entry = find_engine(name)
    own = entry.section or name
    for section, config in sections.items():
        if section != own and config != type(config)():
            raise SettingsError(
                f"settings of {section} are given, and engine is {name!r}",
                "nothing would read them",
                f"add --engine {_sections()[section][0]}, or leave them out",
            )
    if usage.load_in_4bit and not (entry.in_process and not usage.ray):
        raise SettingsError(
            f"load_in_4bit is set, and engine is {name!r}{' on Ray' if usage.ray else ''}",
            "4-bit weights can only generate in the process that trains the adapter on top of them",
            "use --engine transformers, without --ray",
        )
    if usage.ray and not entry.in_process:
        raise SettingsError(
            f"--ray and --engine {name} are both given",
            "Ray workers hold the model themselves, and this engine runs elsewhere by itself",
            "leave one of them out",
        )
    if entry.check is not None:
        resolve_name(entry.check)(entry.options(name, sections), usage)
