"""Size and hash of a finished file."""

from __future__ import annotations

import hashlib
import stat
from dataclasses import dataclass
from pathlib import Path

CHANGED = "has another content than the journal says"


@dataclass(frozen=True)
class Fingerprint:
    """Fingerprint(size=18220, sha256="9f86d081884c7d65...")"""

    size: int
    sha256: str

    @classmethod
    def of(cls, data: bytes) -> Fingerprint:
        return cls(len(data), hashlib.sha256(data).hexdigest())

    @classmethod
    def of_file(cls, path: Path) -> Fingerprint:
        with path.open("rb") as file:
            return cls(path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())

    def mismatch(self, path: Path, *, hashed: bool) -> str:
        """How a file differs; "" if it does not. Without `hashed` its content is not read."""
        try:
            status = path.lstat()
            if not stat.S_ISREG(status.st_mode):
                return "is not a regular file"
            if status.st_size != self.size:
                return f"has {status.st_size:,} bytes instead of {self.size:,}"
            same = not hashed or Fingerprint.of_file(path) == self
        except FileNotFoundError:
            return "is missing"
        except OSError as error:
            return f"cannot be read: {error.strerror}"
        return "" if same else CHANGED
