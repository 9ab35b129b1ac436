"""The record of a run that can be killed at any instruction and ends with the same bytes. See store.py."""

from selftrain.durable.check import Finding, check, repair
from selftrain.durable.disk import disk_error
from selftrain.durable.fingerprint import Fingerprint
from selftrain.durable.journal import Entry, holds_run, is_taken
from selftrain.durable.lock import HeldError
from selftrain.durable.log import Log
from selftrain.durable.reader import Reader
from selftrain.durable.store import Store, Terms

__all__ = [
    "Entry",
    "Finding",
    "Fingerprint",
    "HeldError",
    "Log",
    "Reader",
    "Store",
    "Terms",
    "check",
    "disk_error",
    "holds_run",
    "is_taken",
    "repair",
]
