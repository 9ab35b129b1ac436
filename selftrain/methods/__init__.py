"""One file per paper. A new method is one file, and one line here or an entry point of another package.

An entry point of the group `selftrain.methods` names the method's class:

    [project.entry-points."selftrain.methods"]
    mine = "my_method:Mine"
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points

from selftrain.methods.base import Method
from selftrain.methods.pst import PST
from selftrain.methods.rest_em import RestEM
from selftrain.methods.sept import SePT

METHODS: Mapping[str, type[Method]] = {method.name: method for method in (RestEM, SePT, PST)}
GROUP = "selftrain.methods"

__all__ = ["METHODS", "PST", "RestEM", "SePT", "all_methods"]


@cache
def all_methods() -> Mapping[str, type[Method]]:
    """Our methods and those of other packages, by name. One that cannot be imported is left out with a warning."""
    found = dict(METHODS)
    for entry in entry_points(group=GROUP):
        try:
            method: type[Method] = entry.load()
            if method.name in found:
                raise ValueError(f"there is a method {method.name!r} already")
            found[method.name] = method
        except Exception as error:
            print(f"selftrain: method {entry.value} is left out: {type(error).__name__}: {error}", file=sys.stderr)
    return found
