r"""Ways to be rewarded for nothing. None may be, strictly or leniently, and each is settled within two seconds."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from selftrain.graders import MathGrader
from selftrain.graders.math.worker import MathWorker
from tests.graders.answers import grade, problem

_OPTIONS = ", ".join(map(str, range(100)))

#: name: (gold, completion)
FORGERIES: dict[str, tuple[str | None, str]] = {
    "1 several boxed answers": ("7", "\\boxed{5} \\boxed{6} \\boxed{7}"),
    "2 this or that": ("7", "The answer is 5 or 7."),
    "3 every option": ("42", f"\\boxed{{{_OPTIONS}}}"),
    "3 every letter": ("B", "The answer is (A), (B), (C) or (D)."),
    "3 the right letter first": ("B", "The answer is (B), (A), (C) or (D)."),
    "4 a set that holds the gold": ("7", "\\boxed{\\{5, 6, 7\\}}"),
    "4 an interval that holds the gold": ("7", "\\boxed{(6, 8)}"),
    "5 x = x": ("\\sqrt{2}", "\\boxed{\\sqrt{2} = \\sqrt{2}}"),
    "5 x = x of an unknown": ("x+1", "\\boxed{x = x}"),
    "6 7 = 7": ("7", "\\boxed{7 = 7}"),
    "7 percent of the gold": ("7", "\\boxed{700\\%}"),
    "8 rounds to the gold": ("3", "\\boxed{3.14}"),
    "8 rounds to the gold, nearly": ("1000", "\\boxed{1000.01}"),
    "9 the question again": ("10", "The answer is the number of ways to choose 2 of 5."),
    "9 an equation yet to be solved": ("10", "\\boxed{2x = 20}"),
    "10 a gold no one can read": ("\\frac{", "\\boxed{\\frac{}"),
    "11 towers": ("x^2+1", "\\boxed{10^{10^{10}}}"),
    "11 factorials": ("x^2+1", "\\boxed{100000!!!}"),
    "12 a million digits": ("7", "\\boxed{" + "7" * 1_000_000 + "}"),
    "13 five thousand braces": ("x^2+1", "\\boxed{" + "{" * 5000 + "x^2+1" + "}" * 5000 + "}"),
    "14 a long sum": ("x^2+1", "\\boxed{\\sum_{k=1}^{10^9} \\sin(k)}"),
    "15 hard to simplify": ("x^2+1", "\\boxed{(x+1)^{400}(x+y)^{400}(x-y)^{400} - (x+2)^{400}}"),
    "16 a set of 20,000": ("7", "\\boxed{\\{" + ",".join(map(str, range(20_000))) + "\\}}"),
    "17 look-alikes": ("101", "\\boxed{lОl}"),
    "18 code for a parser that evaluates": ("x^2+1", "\\boxed{__import__('pathlib').Path('forged').touch()}"),
    "18 code, after a number": ("7", "#### 7 if __import__('pathlib').Path('forged').touch() else 7"),
    "19 in a quoted attempt": ("7", "> Attempt 1: \\boxed{7}\n\nThat is wrong.\n\nFinal answer: \\boxed{5}"),
    "20 an empty box for an empty gold": ("", "\\boxed{}"),
    "20 an empty box for an empty box": ("\\boxed{}", "\\boxed{}"),
    "20 nothing for nothing": (None, ""),
}


@pytest.fixture(scope="module", params=["strict", "lenient"])
def grader(request: pytest.FixtureRequest, math_worker: MathWorker) -> MathGrader:
    return MathGrader(strictness=request.param, worker=math_worker)


@pytest.mark.parametrize(("gold", "text"), FORGERIES.values(), ids=FORGERIES.keys())
def test_no_forgery_is_rewarded(
    grader: MathGrader, gold: str | None, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    grade(grader, problem("x^2+1"), "#### x^2")  # the worker runs
    began = time.perf_counter()
    assert not grade(grader, problem(gold), text).value
    assert time.perf_counter() - began < 2.0
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("gold", ["", "\\boxed{}", "\\frac{", None])
def test_without_a_gold_there_is_no_verdict(grader: MathGrader, gold: str | None) -> None:
    assert grade(grader, problem(gold), "\\boxed{7}").value is None
