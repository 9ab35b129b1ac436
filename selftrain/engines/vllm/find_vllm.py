"""Whether there is a vLLM to start, found out without importing it."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache

from selftrain.engines.registry import EngineUsage
from selftrain.engines.vllm.config import VllmConfig
from selftrain.errors import SettingsError

#: The oldest release that is accepted, and the only one that was tested; docs/engines.md says on what.
OLDEST = (0, 32)
#: Run by the Python that is to have vLLM. Builds for other hardware have other distribution names.
_PROGRAM = """
import importlib.metadata as metadata, importlib.util as util, json
found = util.find_spec("vllm") is not None
names = metadata.packages_distributions().get("vllm", []) if found else []
print(json.dumps({"found": found, "version": metadata.version(names[0]) if names else ""}))
"""


def check(config: VllmConfig, usage: EngineUsage) -> None:
    """
    Raises:
        SettingsError: there is no vLLM that could be used.
    """
    vllm_version(config.vllm_python)


@cache
def vllm_version(python: str | None) -> str:
    """The version of the vLLM that `python` has (this Python if None); "" where it does not say.

    Raises:
        SettingsError: it has none, or one that is too old, or is not a Python.
    """
    command = python or sys.executable
    try:
        done = subprocess.run([command, "-P", "-c", _PROGRAM], capture_output=True, text=True, check=True)
        facts = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        raise SettingsError(
            f"vllm_python is {command!r}, which does not run as a Python of version 3.11 or newer: {error}",
            "vLLM runs in a process of that Python",
            "give the bin/python of the environment that has vLLM",
        ) from error
    if not facts["found"]:
        raise SettingsError(
            f"engine is 'vllm', and {command} has no vLLM",
            "it is not installed with selftrain, since it pins a torch version of its own",
            "pip install 'selftrain[vllm]'; or install vllm into another environment and give --vllm_python "
            "THAT_ENVIRONMENT/bin/python",
        )
    version: str = facts["version"]
    if _is_older(version):
        raise SettingsError(
            f"engine is 'vllm', and {command} has vLLM {version}",
            f"the oldest version that works is {'.'.join(map(str, OLDEST))}",
            "install a newer one, or use --engine auto",
        )
    return version


def _is_older(version: str) -> bool:
    parts = version.split(".")[:2]
    return all(part.isdigit() for part in parts) and tuple(map(int, parts)) < OLDEST
