"""Speed and accuracy of the math grader: the fast path and math-verify side by side, then published verdicts.

    python benchmarks/grading.py                     generated plain numbers
    python benchmarks/grading.py pairs.jsonl         and verdicts: lines with gold, prediction, expected and tier

The two alternate on the same pairs, so that other load hits both alike; medians and ranges are over the turns. Caches
are cleared before each turn. math-verify runs in this process, without the cost of its own. Prints figures; asserts
nothing.
"""

from __future__ import annotations

import json
import logging
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

from math_verify import parse, verify
from math_verify.parser import parse_expr_cached, parse_latex_cached

from selftrain.graders import MathGrader, as_response
from selftrain.graders.math.plain_numbers import read_numbers
from selftrain.graders.math.same_numbers import same_numbers
from selftrain.graders.math.worker import MathWorker
from selftrain.types import Problem

PAIRS, TURNS = 500, 7
Pair = tuple[str, str]


def generated(rng: random.Random) -> Pair:
    """A gold and an answer in the style of GSM8K and MATH; half of the answers are wrong."""
    value = rng.randint(1, 99_999)
    said = value if rng.random() < 0.5 else value + rng.randint(1, 9)
    below = rng.choice([3, 7, 8, 9, 11])
    return rng.choice(
        [
            (str(value), str(said)),
            (str(value), f"{said:,}"),
            (f"{value:,}", f"{said}.0"),
            (str(value / 4), str(said / 4)),
            (f"\\frac{{{value}}}{{{below}}}", f"\\frac{{{said}}}{{{below}}}"),
            (str(value), f"x = {said}"),
        ]
    )


def fast(gold: str, answer: str) -> bool:
    golds, answers = read_numbers(gold), read_numbers(answer)
    return bool(golds and answers and same_numbers(golds, answers))


def slow(gold: str, answer: str) -> bool:
    golds, answers = (parse(f"${text}$", parsing_timeout=None) for text in (gold, answer))
    return bool(verify(golds, answers, timeout_seconds=None))


def rate(grader: Callable[[str, str], bool], pairs: Sequence[Pair]) -> float:
    """Pairs a second, from cold caches."""
    for cached in (read_numbers, parse_latex_cached, parse_expr_cached):
        cached.cache_clear()
    began = time.perf_counter()
    for pair in pairs:
        grader(*pair)
    return len(pairs) / (time.perf_counter() - began)


def numbers() -> None:
    rng = random.Random(0)
    pairs = [generated(rng) for _ in range(PAIRS)]
    rates: dict[str, list[float]] = {"fast path": [], "math-verify": []}
    for _ in range(TURNS):
        rates["fast path"].append(rate(fast, pairs))
        rates["math-verify"].append(rate(slow, pairs))
    for name, found in rates.items():
        print(f"{name}: {statistics.median(found):,.0f} pairs a second ({min(found):,.0f} to {max(found):,.0f})")
    ratios = [a / b for a, b in zip(*rates.values(), strict=True)]
    print(f"ratio: {statistics.median(ratios):.0f} ({min(ratios):.0f} to {max(ratios):.0f}), {TURNS} turns")
    same = sum(fast(*pair) == slow(*pair) for pair in pairs)
    print(f"verdicts: {same:,} of {len(pairs):,} equal, {sum(fast(*pair) for pair in pairs):,} right")


def published(path: Path) -> None:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    problems = {str(at): Problem(str(at), "", row["gold"]) for at, row in enumerate(rows)}
    responses = [as_response(problem, row["prediction"]) for problem, row in zip(problems.values(), rows, strict=True)]
    with MathGrader() as grader, MathGrader(strictness="lenient") as lenient:
        strict, loose = grader.grade(responses, problems), lenient.grade(responses, problems)
    worker = MathWorker()
    alone = [worker.math_verify_alone(row["gold"], row["prediction"]) for row in rows]
    worker.close()
    print(f"slowest: {max(score.seconds for score in strict):.2f} s")
    for tier in dict.fromkeys(row["tier"] for row in rows):
        places = [at for at, row in enumerate(rows) if row["tier"] == tier]
        counts = ", ".join(
            f"{name} {sum(verdicts[at] == rows[at]['expected'] for at in places)}"
            f" (wrongly right: {sum(bool(verdicts[at]) and not rows[at]['expected'] for at in places)})"
            for name, verdicts in (
                ("strict", [score.value for score in strict]), ("lenient", [score.value for score in loose]),
                ("math-verify alone", alone),
            )
        )  # fmt: skip
        print(f"{tier}, {len(places)}: {counts}")


def main() -> None:
    logging.disable(logging.CRITICAL)
    print(f"python {platform.python_version()}, math-verify {version('math-verify')}, sympy {version('sympy')}")
    numbers()
    for path in sys.argv[1:]:
        published(Path(path))


if __name__ == "__main__":
    main()
