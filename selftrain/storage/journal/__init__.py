"""The durable record of a run, which can be killed at any instruction and ends with the same bytes. See store.py."""

from selftrain.storage.journal.check import Finding, check, readable, repair
from selftrain.storage.journal.disk import disk_errors, is_regular, read_bytes
from selftrain.storage.journal.entries import Entry, holds_run, is_occupied, run_above
from selftrain.storage.journal.fingerprint import Fingerprint
from selftrain.storage.journal.lock import LockedError
from selftrain.storage.journal.log import Log
from selftrain.storage.journal.reader import Reader
from selftrain.storage.journal.store import Store, StoreOptions

__all__ = [
    "Entry",
    "Finding",
    "Fingerprint",
    "Log",
    "LockedError",
    "Reader",
    "Store",
    "StoreOptions",
    "check",
    "disk_errors",
    "holds_run",
    "is_occupied",
    "is_regular",
    "read_bytes",
    "readable",
    "repair",
    "run_above",
]
