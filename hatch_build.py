"""Compiles attention and sampling where there is a C compiler. Without one the package does the same, more slowly."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCES = ("selftrain/engines/packed/kernels.c", "selftrain/engines/sampling.c")
FLAGS = ("-std=gnu11", "-O3", "-ffp-contract=fast", "-Wall", "-Wno-psabi", "-shared", "-fPIC")
#: Every x86 processor of the last ten years has these; where one has not, the library is not loaded.
FLAGS_X86 = ("-mavx2", "-mfma")


class Kernels(BuildHookInterface):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
        flags = [*FLAGS, *(FLAGS_X86 if platform.machine() == "x86_64" else ())]
        for source in SOURCES:
            library = str(Path(source).with_suffix(".so"))
            # One of an earlier source would be taken for this one's.
            (root / library).unlink(missing_ok=True)
            try:
                subprocess.run(
                    [*compiler, *flags, str(root / source), "-o", str(root / library), "-lm"],
                    check=True, capture_output=True, text=True,
                )  # fmt: skip
            except (OSError, subprocess.CalledProcessError) as error:
                self.app.display_warning(f"not compiled, so slower: {getattr(error, 'stderr', None) or error}")
                return
            build_data["artifacts"].append(library)
        # They are loaded by ctypes: for this platform, and for any Python.
        tag = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["pure_python"], build_data["tag"] = False, f"py3-none-{tag}"
