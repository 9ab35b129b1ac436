"""The entry point of the nursery: a clean interpreter that knows only this folder of the package.

python -s -S -P boot.py '<settings as JSON>'

Empty modules stand in for the parent packages, so that their `__init__` and its imports never run here.
"""

from __future__ import annotations

import json
import sys
from types import ModuleType


def main() -> None:
    here = __file__.rsplit("/", 1)[0]
    sandbox = here.rsplit("/", 1)[0]
    for name, path in (
        ("selftrain", sandbox.rsplit("/", 1)[0]),
        ("selftrain.sandbox", sandbox),
        ("selftrain.sandbox.inside", here),
    ):
        package = ModuleType(name)
        package.__path__ = [path]
        sys.modules[name] = package
    settings = json.loads(sys.argv[1])
    sys.argv[:] = sys.orig_argv[:] = ["main.py"]
    from selftrain.sandbox.inside.nursery import serve

    serve(settings)


if __name__ == "__main__":
    main()
