"""JSON as its standard says: no NaN, no key twice; and every fault with its line.

Three layouts are read, whatever the file's ending: JSON lines, an array of rows, and an object around one
(`{"canary": ..., "examples": [...]}`), whose other values then belong to every row.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, Never

from selftrain.problems.rows import Row, excerpt

#: Names under which an object holds its rows.
_HOLDERS = ("examples", "data", "rows", "instances")


def json_rows(text: str, source: str, *, lines: bool) -> tuple[list[Row], list[str]]:
    """The rows of `text`, and a complaint for each that cannot be read.

    `lines` says that a text which is no array holds one row a line; otherwise the layout is told from the text.
    """
    body = text.lstrip()
    first_line = body.split("\n", 1)[0].rstrip()
    if body.startswith("["):
        values = list(_one_by_one(text))
    elif lines or first_line.endswith("}"):
        values = list(_line_by_line(text))
    else:
        values = [_whole(text)] if body else []
    if len(values) == 1 and not lines:
        values = _unwrapped(*values[0])
    return _sorted_out(values, source)


def _sorted_out(values: list[tuple[str, Any]], source: str) -> tuple[list[Row], list[str]]:
    rows, complaints = [], []
    for index, (place, value) in enumerate(values):
        if isinstance(value, dict):
            rows.append(Row(source + place, str(index), value))
        elif isinstance(value, ValueError):
            complaints.append(f"{source}{place}: {value}")
        else:
            complaints.append(f"{source}{place}: {excerpt(value)} is no object with named columns")
    return rows, complaints


def _line_by_line(text: str) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                yield f":{number}", _STRICT.decode(line)
            except json.JSONDecodeError as broken:
                yield f":{number}:{broken.colno}", _fault(broken, line)
            except (ValueError, RecursionError) as refused:
                yield f":{number}", _fault(refused, line)


def _one_by_one(text: str) -> Iterator[tuple[str, Any]]:
    """The elements of an array. After a fault nothing can be trusted, so it is the last thing to come."""
    position = _past_blanks(text, text.index("[") + 1)
    line, counted = 1, 0
    try:
        while not text.startswith("]", position):
            line, counted = line + text.count("\n", counted, position), position
            value, position = _STRICT.raw_decode(text, position)
            yield f":{line}", value
            position = _past_blanks(text, position)
            if text.startswith(",", position):
                position = _past_blanks(text, position + 1)
                if text.startswith("]", position):
                    raise json.JSONDecodeError("Expecting a value after the comma", text, position)
            elif not text.startswith("]", position):
                raise json.JSONDecodeError("Expecting ',' or ']'", text, position)
        position = _past_blanks(text, position + 1)
        if position < len(text):
            raise json.JSONDecodeError("Expecting nothing after the array", text, position)
    except json.JSONDecodeError as broken:
        yield f":{broken.lineno}:{broken.colno}", _fault(broken, text)
    except (ValueError, RecursionError) as refused:
        yield f":{line}", _fault(refused, text)


def _whole(text: str) -> tuple[str, Any]:
    try:
        return ":1", _STRICT.decode(text)
    except json.JSONDecodeError as broken:
        return f":{broken.lineno}:{broken.colno}", _fault(broken, text)
    except (ValueError, RecursionError) as refused:
        return "", _fault(refused, text)


def _unwrapped(place: str, value: Any) -> list[tuple[str, Any]]:
    """The rows inside an object that only holds them, each with the object's other values."""
    holder = next((name for name in _HOLDERS if isinstance(value, dict) and isinstance(value.get(name), list)), None)
    if holder is None:
        return [(place, value)]
    shared = {name: other for name, other in value.items() if name != holder}
    return [
        (f": {holder}[{index}]", {**shared, **item} if isinstance(item, dict) else item)
        for index, item in enumerate(value[holder])
    ]


def _past_blanks(text: str, position: int) -> int:
    while position < len(text) and text[position] in " \t\r\n":
        position += 1
    return position


def _fault(cause: Exception, text: str) -> ValueError:
    if isinstance(cause, RecursionError):
        return ValueError("nested too deeply to be read")
    if isinstance(cause, json.JSONDecodeError):
        found = text.split("\n")[cause.lineno - 1][max(cause.colno - 1, 0) :]
        return ValueError(f"broken JSON: {cause.msg}, found {excerpt(found, 40)}")
    return ValueError(str(cause))


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    columns = dict(pairs)
    if len(columns) < len(pairs):
        name, times = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ValueError(
            f"the key {excerpt(name)} occurs {times} times in one object, so which value counts is unknown"
        )
    return columns


def _no_constant(name: str) -> Never:
    raise ValueError(f"{name} is neither JSON nor an answer")


_STRICT = json.JSONDecoder(object_pairs_hook=_without_repeats, parse_constant=_no_constant)
