"""A peer in a process of its own: it is told its work once, and then to do it, turn by turn.

Needs nothing but Python, since the peer's environment may hold nothing of ours.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

#: Does the work once and gives back how many useful tokens that was.
Work = Callable[[], float]


def serve(start: Callable[[dict[str, Any]], tuple[Work, str]]) -> None:
    """Reads the work from standard input, one line of JSON; then a line for each turn, until the input ends.

    Args:
        start: gets ready for the work, and names the version that does it.
    """
    # Libraries print to standard output as they like; the answers have a way of their own.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(facts: dict[str, Any]) -> None:
        answers.write(json.dumps(facts) + "\n")
        answers.flush()

    began = time.perf_counter()
    work, version = start(json.loads(sys.stdin.readline()))
    say({"version": version, "seconds": time.perf_counter() - began})
    for _ in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        done = work()
        say({"work": done, "cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall})
