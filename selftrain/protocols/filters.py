"""What a harness reads from a response."""

from __future__ import annotations

import re
from functools import partial

from selftrain.protocols.base import Filter

#: What lm-eval records where nothing matches.
INVALID = "[invalid]"
#: What it reads where a response in the form of the Minerva paper gives no final answer.
NO_ANSWER = "[invalidanswer]"
#: The last thing that looks like a number.
ANY_NUMBER = r"(-?[$0-9.,]{2,})|(-?[0-9]+)"


def first_match(pattern: str) -> Filter:
    """The first match of `pattern`, or of its first group that is not empty; INVALID where there is none."""
    return partial(_match, re.compile(pattern), 0)


def last_match(pattern: str) -> Filter:
    """As `first_match`, of the last match."""
    return partial(_match, re.compile(pattern), -1)


def whole(response: str) -> str:
    """The response as it is."""
    return response


def _match(pattern: re.Pattern[str], place: int, response: str) -> str:
    found = pattern.findall(response)
    if not found:
        return INVALID
    chosen = found[place]
    if isinstance(chosen, tuple):
        chosen = next(filter(None, chosen), INVALID)
    return str(chosen).strip()
