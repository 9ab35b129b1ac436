"""Rows of the folder layout of APPS: a folder per problem, whose files are the columns of the Hub's copy."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from selftrain.errors import DataError
from selftrain.problems.rows import Row, Table, choose_split, nearest, raise_for_bad_rows

#: Column and file; all but the first may be missing.
_FILES = {
    "question": "question.txt",
    "solutions": "solutions.json",
    "input_output": "input_output.json",
    "starter_code": "starter_code.py",
}
_METADATA = "metadata.json"


def is_apps_folder(root: Path) -> bool:
    """Whether `root`, or its subfolder for a split, holds folders with a `question.txt`."""
    return _is_split(root) or any(root.glob("*/*/question.txt"))


def read_apps_folder(root: Path, config: str | None, split: str | None) -> Table:
    """All problems of one split of `root`.

    Args:
        config: a difficulty, or "all".

    Raises:
        DataError: the split is not clear, a file cannot be read, or no problem has that difficulty.
    """
    folder, name = root, "/".join(root.absolute().parts[-2:]).lstrip("/")
    if not _is_split(root):
        chosen = choose_split([path.name for path in root.iterdir() if _is_split(path)], split, str(root))
        folder, name = root / chosen, f"{root.absolute().name}/{chosen}"
    rows, errors = [], []
    for path in sorted(path for path in folder.iterdir() if _is_problem(path)):
        try:
            rows.append(Row(str(path), path.name, _columns(path)))
        except ValueError as error:
            errors.append(f"{path}: {error}")
    raise_for_bad_rows(errors, len(rows) + len(errors))
    return Table(name, tuple(rows) if config in (None, "all") else _of_difficulty(rows, str(config), folder))


def _is_split(folder: Path) -> bool:
    return any(folder.glob("*/question.txt"))


def _is_problem(folder: Path) -> bool:
    return not folder.name.startswith(".") and any((folder / name).is_file() for name in (*_FILES.values(), _METADATA))


def _columns(folder: Path) -> dict[str, Any]:
    texts = {column: _text(folder / name) for column, name in _FILES.items()}
    metadata = _object(folder / _METADATA)
    number = int(folder.name) if folder.name.isdecimal() else folder.name
    return {"problem_id": number, **texts, **{name: str(metadata.get(name) or "") for name in ("difficulty", "url")}}


def _of_difficulty(rows: list[Row], difficulty: str, folder: Path) -> tuple[Row, ...]:
    kept = tuple(row for row in rows if row.columns["difficulty"] == difficulty)
    if not kept:
        found = sorted({row.columns["difficulty"] for row in rows} - {""})
        raise DataError(
            f"No problem of {folder} has the difficulty {difficulty!r}; found: {', '.join(found) or 'none'}.",
            "In this layout dataset_config is a difficulty, and there is nothing to read under that name.",
            f"Ask for {nearest(difficulty, found) or 'one of these'}, or leave dataset_config out.",
        )
    return kept


def _text(path: Path) -> str:
    """The content of a file; empty if there is none, as in the Hub's copy."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError as bad:
        raise ValueError(f"{path.name} is not UTF-8: byte 0x{bad.object[bad.start]:02x} at {bad.start + 1}") from None
    except OSError as failure:
        raise ValueError(f"{path.name} cannot be opened: {failure.strerror}") from None


def _object(path: Path) -> Mapping[str, Any]:
    text = _text(path)
    try:
        value = json.loads(text) if text.strip() else {}
    except ValueError as broken:
        raise ValueError(f"{path.name} is not JSON: {broken}") from None
    if not isinstance(value, dict):
        raise ValueError(f"{path.name} holds a {type(value).__name__}, not an object")
    return value
