"""The failures selftrain can name. Everything else is a bug.

    SelftrainError
    ├── SettingsError        a setting is unknown, of the wrong type, or contradicts another
    ├── DataError            a data file or data set cannot be used as it stands
    ├── ModelError           a model or tokenizer cannot be loaded, or cannot do what is asked
    ├── GraderError          a grader broke its contract (a wrong count, no number), or there is none
    └── RunError             a run cannot start, go on, or be read

A message has three parts: what was found (and where), why it cannot work, what to do.
"""

from __future__ import annotations


class SelftrainError(Exception):
    """Base of all named failures. `exit_code` follows sysexits where one fits."""

    exit_code = 1

    def __init__(self, found: str, why: str = "", do: str = "") -> None:
        self.found, self.why, self.do = found, why, do
        super().__init__("\n".join(part for part in (found, why, do) if part))


class SettingsError(SelftrainError):
    exit_code = 64


class DataError(SelftrainError):
    exit_code = 65


class ModelError(SelftrainError):
    exit_code = 66


class GraderError(SelftrainError):
    exit_code = 69


class RunError(SelftrainError):
    exit_code = 74
