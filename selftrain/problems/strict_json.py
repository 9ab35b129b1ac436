"""Standard JSON, without NaN and repeated keys; every error has its line.

Three layouts are read, whatever the file's extension: JSON lines, an array of rows, and an object around an array
(`{"canary": ..., "examples": [...]}`), whose other values then belong to every row.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, Never

from selftrain.problems.rows import Row, excerpt

#: Keys under which an object holds its rows.
_ROW_KEYS = ("examples", "data", "rows", "instances")


def json_rows(text: str, source: str, *, lines: bool) -> tuple[list[Row], list[str]]:
    """The rows of `text`, and an error for each that cannot be read.

    Args:
        lines: whether a text that is no array holds one row per line; otherwise the layout is detected.
    """
    body = text.lstrip()
    first_line = body.split("\n", 1)[0].rstrip()
    if body.startswith("["):
        values = list(_array_items(text))
    elif lines or first_line.endswith("}"):
        values = list(_lines(text))
    else:
        values = [_whole(text)] if body else []
    if len(values) == 1 and not lines:
        values = _rows_inside(*values[0])
    return _rows_and_errors(values, source)


def _rows_and_errors(values: list[tuple[str, Any]], source: str) -> tuple[list[Row], list[str]]:
    rows, errors = [], []
    for index, (place, value) in enumerate(values):
        if isinstance(value, dict):
            rows.append(Row(source + place, str(index), value))
        elif isinstance(value, ValueError):
            errors.append(f"{source}{place}: {value}")
        else:
            errors.append(f"{source}{place}: {excerpt(value)} is not an object with named columns")
    return rows, errors


def _lines(text: str) -> Iterator[tuple[str, Any]]:
    # Not text.split: a text of line ends alone would become a list many times its size.
    for number, line in enumerate(io.StringIO(text, newline="\n"), start=1):
        if line.strip():
            place, value = _whole(line.removesuffix("\n"))
            yield f":{number}{place.removeprefix(':1')}", value


def _array_items(text: str) -> Iterator[tuple[str, Any]]:
    """The items of an array. An error is the last item: nothing after it can be trusted."""
    position = _skip_blanks(text, text.index("[") + 1)
    line, counted = 1, 0
    try:
        while not text.startswith("]", position):
            line, counted = line + text.count("\n", counted, position), position
            value, position = _STRICT.raw_decode(text, position)
            yield f":{line}", value
            position = _skip_blanks(text, position)
            if text.startswith(",", position):
                position = _skip_blanks(text, position + 1)
                if text.startswith("]", position):
                    raise json.JSONDecodeError("Expecting a value after the comma", text, position)
            elif not text.startswith("]", position):
                raise json.JSONDecodeError("Expecting ',' or ']'", text, position)
        position = _skip_blanks(text, position + 1)
        if position < len(text):
            raise json.JSONDecodeError("Expecting nothing after the array", text, position)
    except json.JSONDecodeError as broken:
        yield f":{broken.lineno}:{broken.colno}", _error(broken, text)
    except (ValueError, RecursionError) as refused:
        yield f":{line}", _error(refused, text)


def _whole(text: str) -> tuple[str, Any]:
    try:
        return ":1", _STRICT.decode(text)
    except json.JSONDecodeError as broken:
        return f":{broken.lineno}:{broken.colno}", _error(broken, text)
    except (ValueError, RecursionError) as refused:
        return "", _error(refused, text)


def _rows_inside(place: str, value: Any) -> list[tuple[str, Any]]:
    """The rows inside an object around an array, each with the object's other values."""
    key = next((name for name in _ROW_KEYS if isinstance(value, dict) and isinstance(value.get(name), list)), None)
    if key is None:
        return [(place, value)]
    shared = {name: other for name, other in value.items() if name != key}
    return [
        (f": {key}[{index}]", {**shared, **item} if isinstance(item, dict) else item)
        for index, item in enumerate(value[key])
    ]


def _skip_blanks(text: str, position: int) -> int:
    while position < len(text) and text[position] in " \t\r\n":
        position += 1
    return position


def _error(cause: Exception, text: str) -> ValueError:
    if isinstance(cause, RecursionError):
        return ValueError("nested too deeply")
    if isinstance(cause, json.JSONDecodeError):
        found = text.split("\n")[cause.lineno - 1][max(cause.colno - 1, 0) :]
        return ValueError(f"broken JSON: {cause.msg}, found {excerpt(found, 40)}")
    if "integer string conversion" in str(cause):
        return ValueError("a number of thousands of digits; write it in quotes, or give fewer")
    return ValueError(str(cause))


def _refuse_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    columns = dict(pairs)
    if len(columns) < len(pairs):
        name, times = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ValueError(f"the key {excerpt(name)} occurs {times} times in one object, so its value is ambiguous")
    return columns


def _refuse_constant(name: str) -> Never:
    raise ValueError(f"{name} is neither JSON nor an answer")


_STRICT = json.JSONDecoder(object_pairs_hook=_refuse_repeated_keys, parse_constant=_refuse_constant)
