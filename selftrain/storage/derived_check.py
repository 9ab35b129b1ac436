"""Whether the files that a run writes from its journal, or beside it, are as they were written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from selftrain.storage.derived_files import CARDS, GIVEN, TENSORBOARD, UNMANAGED, as_line
from selftrain.storage.fork_rounds import LATE, RECORD
from selftrain.storage.journal import Finding, Reader, is_regular, read_bytes
from selftrain.storage.run_folder import is_timing, plain_json

#: The step that holds the text of settings.yaml and environment.json.
DESCRIBED = "described"
#: Written at a run's end, and again whenever it is resumed.
_AT_THE_END = ("best.json", "report.html")
_AGAIN = "written again when the run is resumed"


@dataclass(frozen=True)
class Mend:
    """A finding, and what the file has to hold; None where it is to be taken away."""

    finding: Finding
    data: bytes | None


def mends(reader: Reader) -> Iterator[Mend]:
    """What is wrong with such a file, for each with which something is."""
    texts = _recorded(reader)
    for name in UNMANAGED:
        path, expected = reader.folder / name, texts.get(name)
        if name in ("best", CARDS, TENSORBOARD, GIVEN):
            continue
        if os.path.lexists(path) and not is_regular(path):
            yield Mend(Finding(name, "is not a regular file", "moved to quarantine"), expected)
        elif expected is not None:
            yield from _compared(name, read_bytes(path), expected, exists=path.exists())
        elif name in _AT_THE_END and not path.exists() and reader.finished("done") is not None:
            yield Mend(Finding(name, "is missing", _AGAIN), None)
        elif name == "best.json" and path.exists() and not isinstance(_json(read_bytes(path)), dict):
            yield Mend(Finding(name, "is not a JSON object", f"moved to quarantine; {_AGAIN}"), None)
        elif name == "timings.jsonl":
            yield from _timings(read_bytes(path))


def _recorded(reader: Reader) -> dict[str, bytes]:
    """By name, what the journal says that files hold."""
    entry = reader.finished(DESCRIBED)
    found = {} if entry is None else {name: text.encode() for name, text in entry.metadata.get("files", {}).items()}
    lines = [as_line(one) for e in reader.journal if _has_lines(e.step) for one in e.metadata.get("records", ())]
    begun = lines or (reader.folder / "rounds.jsonl").exists()
    return found | ({"rounds.jsonl": "".join(lines).encode()} if begun else {})


def _has_lines(step: str) -> bool:
    return step == LATE or step.endswith(f"/{RECORD}")


def _compared(name: str, found: bytes, expected: bytes, *, exists: bool) -> Iterator[Mend]:
    if found == expected:
        return
    remedy = "restored from the journal"
    if name == "rounds.jsonl" and expected.startswith(found):
        # It is appended to without a sync, after the journal.
        yield Mend(Finding(name, "lacks its last lines", remedy, is_damage=False), expected)
    else:
        wrong = "has another content than the journal says" if exists else "is missing"
        yield Mend(Finding(name, wrong, remedy), expected)


def _timings(data: bytes) -> Iterator[Mend]:
    lines = data.splitlines(keepends=True)
    bad = [number for number, line in enumerate(lines, 1) if not (line.endswith(b"\n") and is_timing(_json(line)))]
    if bad:
        torn = bad == [len(lines)] and not data.endswith(b"\n")
        wrong = f"line {bad[0]} is {'incomplete' if torn else 'damaged'}"
        kept = b"".join(line for number, line in enumerate(lines, 1) if number not in bad)
        remedy = "left out; the seconds that it told are lost"
        yield Mend(Finding("timings.jsonl", wrong, remedy, is_damage=not torn), kept)


def _json(data: bytes) -> object:
    try:
        return plain_json(data.decode())
    except UnicodeDecodeError:
        return None
