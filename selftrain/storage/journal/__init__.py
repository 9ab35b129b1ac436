"""The record of a run that can be killed at any instruction and ends with the same bytes. See store.py."""

from selftrain.storage.journal.check import Finding, check, repair
from selftrain.storage.journal.disk import disk_error
from selftrain.storage.journal.entries import Entry, holds_run, is_taken
from selftrain.storage.journal.fingerprint import Fingerprint
from selftrain.storage.journal.lock import HeldError
from selftrain.storage.journal.log import Log
from selftrain.storage.journal.reader import Reader
from selftrain.storage.journal.store import Store, Terms

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
