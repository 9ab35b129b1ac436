"""The standard library in memory: where no file can be opened, its modules are imported from here.

It is one mapping of a file in memory, so that it costs a fork nothing, and private, so that nothing that a program
writes there reaches another one. It holds what Python has compiled, or the source where that is missing or older.
"""

from __future__ import annotations

import fcntl
import importlib.abc
import importlib.machinery
import importlib.util
import marshal
import mmap
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

#: Tests, demonstrations, and what opens a browser, prints a poem or installs something.
_LEFT_OUT = {
    *("test", "tests", "__main__", "__pycache__", "site-packages", "lib-dynload", "idlelib", "turtledemo"),
    *("pydoc_data", "antigravity", "this", "ensurepip", "venv", "lib2to3"),
}
#: Before the code in a compiled file.
_HEAD = 16


class MemoryFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds and loads modules of the standard library."""

    def __init__(self) -> None:
        library = Path(os.__file__).parent
        #: By name: where the code begins and ends, its file, whether it is compiled, whether the module is a package.
        self._found: dict[str, tuple[int, int, str, bool, bool]] = {}
        size = 0
        with os.fdopen(os.memfd_create("library", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING), "wb") as file:
            for name, path in _modules(library):
                content, compiled = _content(path)
                self._found[name] = (size, size + len(content), str(path), compiled, path.name == "__init__.py")
                size += file.write(content)
            size += file.write(b"\0")  # a mapping cannot be empty
            file.flush()
            fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL)
            self._memory = mmap.mmap(file.fileno(), size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)
        #: What is done to a module after it was loaded, by name.
        self.after: dict[str, Callable[[ModuleType], None]] = {}

    def find_spec(self, fullname: str, path: Sequence[str] | None = None, target: Any = None) -> Any:
        if fullname not in self._found:
            return None
        _, _, file, _, is_package = self._found[fullname]
        spec = importlib.machinery.ModuleSpec(fullname, self, origin=file, is_package=is_package)
        spec.has_location = True
        if is_package:
            spec.submodule_search_locations = [os.path.dirname(file)]  # noqa: PTH120 - as Python itself
        return spec

    def exec_module(self, module: ModuleType) -> None:
        start, end, file, compiled, _ = self._found[module.__name__]
        content = self._memory[start:end]
        code = marshal.loads(content) if compiled else compile(content, file, "exec", dont_inherit=True)
        exec(code, module.__dict__)
        if change := self.after.get(module.__name__):
            change(module)


def install() -> MemoryFinder:
    finder = MemoryFinder()
    sys.meta_path.insert(0, finder)
    return finder


def _modules(folder: Path, package: str = "") -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.glob("*")):
        name = path.name.removesuffix(".py")
        if name in _LEFT_OUT or name.startswith("config-"):
            continue
        if name != path.name and name != "__init__":
            yield package + name, path
        elif (path / "__init__.py").is_file():
            yield package + name, path / "__init__.py"
            yield from _modules(path, f"{package}{name}.")


def _content(path: Path) -> tuple[bytes, bool]:
    """A module's code, marshalled, or else its source."""
    try:
        compiled = Path(importlib.util.cache_from_source(str(path))).read_bytes()
    except (OSError, NotImplementedError):
        compiled = b""
    if compiled[:4] == importlib.util.MAGIC_NUMBER:
        about = path.stat()
        expected = [int(about.st_mtime) & 0xFFFFFFFF, about.st_size & 0xFFFFFFFF]
        flags, *found = (int.from_bytes(compiled[i : i + 4], "little") for i in (4, 8, 12))
        if flags == 1 or (flags == 0 and found == expected):  # not checked against the source, or the same as it
            return compiled[_HEAD:], True
    return path.read_bytes(), False
