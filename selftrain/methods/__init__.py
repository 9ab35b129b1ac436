"""One file per paper. A new method is one file and one line here."""

from __future__ import annotations

from selftrain.methods import pst, rest_em, sept
from selftrain.methods.pst import PST
from selftrain.methods.rest_em import RestEM
from selftrain.methods.sept import SePT

METHODS = {method.name: method for method in (RestEM, SePT, PST)}

#: Defaults that differ by `--profile`, method by method.
PROFILES = {RestEM.name: rest_em.PROFILES, SePT.name: sept.PROFILES, PST.name: pst.PROFILES}

__all__ = ["METHODS", "PROFILES", "PST", "RestEM", "SePT"]
