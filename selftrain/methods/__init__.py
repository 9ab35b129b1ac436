"""One page a paper. A new method is one file and one line here."""

from __future__ import annotations

from selftrain.methods import rest_em
from selftrain.methods.rest_em import RestEM

METHODS = {method.name: method for method in (RestEM,)}

#: Defaults that differ by `--profile`, method by method.
PROFILES = {RestEM.name: rest_em.PROFILES}

__all__ = ["METHODS", "PROFILES", "RestEM"]
