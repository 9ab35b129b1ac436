"""What is read from a response, and whether it is right. Expected values are lm-eval 0.4.13's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from selftrain.protocols.base import Doc
from selftrain.protocols.latex_answer import last_box, normalized
from selftrain.protocols.minerva import MINERVA_MATH500, final_answer
from selftrain.protocols.registry import PROTOCOLS
from selftrain.protocols.sympy_latex import parse_latex
from selftrain.protocols.verdicts import judge

GSM8K, COT = PROTOCOLS["lm-eval:gsm8k"], PROTOCOLS["lm-eval:gsm8k_cot"]
DOC = {"question": "?", "answer": "so it is <<9*2=18>>18.\n#### 1,018"}


@pytest.mark.parametrize(("response", "strict", "flexible"), [
    ("9*2=18\n#### 18", "18", "18"),
    ("#### 18 and then #### 19", "18", "19"),
    ("#### 1,018", "1,018", "1,018"),
    ("#### 18.", "18.", "18."),
    ("#### $18", "[invalid]", "$18"),
    ("####18", "[invalid]", "18"),
    ("It costs $5. Then 7 apples.", "[invalid]", "7"),
    ("no number", "[invalid]", "[invalid]"),
    ("", "[invalid]", "[invalid]"),
    ("He has -3, or $.", "[invalid]", "$."),
    ("5-", "[invalid]", "5"),
    ("the year 1999..", "[invalid]", "1999.."),
    ("#### -5", "-5", "-5"),
])  # fmt: skip
def test_gsm8k_reads_the_first_marked_number_and_the_last_of_any(response: str, strict: str, flexible: str) -> None:
    read = {name: filtered(response) for name, filtered in GSM8K.filters.items()}
    assert read == {"strict-match": strict, "flexible-extract": flexible}


@pytest.mark.parametrize(("response", "strict"), [
    ("The answer is 18.", "18"),
    ("The answer is 18", "1"),
    ("The answer is 1,018 dollars", "1,018"),
    ("The answer is 8", "[invalid]"),
    ("the answer is 18.", "[invalid]"),
    ("The answer is $18.", "[invalid]"),
])  # fmt: skip
def test_cot_reads_what_follows_its_phrase_up_to_one_more_character(response: str, strict: str) -> None:
    assert COT.filters["strict-match"](response) == strict


@pytest.mark.parametrize(("read", "right"), [
    ("1018", 1.0), ("1,018", 1.0), ("$1018", 1.0), ("1018.", 1.0), ("1018..", 0.0), ("1018.0", 0.0), ("101", 0.0),
    ("[invalid]", 0.0), ("", 0.0),
])  # fmt: skip
def test_numbers_are_compared_as_text_without_separators_and_currency(read: str, right: float) -> None:
    assert GSM8K.metrics(DOC, read) == {"exact_match": right}
    assert COT.metrics(DOC, read) == {"exact_match": right}


@pytest.mark.parametrize(("answer", "expected"), [
    ("x=5", "5"), ("\\frac12", "\\frac{1}{2}"), ("2\\pi cm", "2\\pi"), ("\\left(3\\right)", "\\left(3\\right)"),
    ("10,000", "10000"), ("0,1", "0,1"), ("\\text{an }hour", "hour"), ("$7$ hours", "7"), ("\\sqrt3", "\\sqrt{3}"),
    ("\\sqrt[3]8", "\\sqrt[3]{8}"), ("60^\\circ", "60"), ("\\boxed{4}", "4"), ("\\$12.50", "12.50"), ("", ""),
])  # fmt: skip
def test_answers_in_latex_are_normalized(answer: str, expected: str) -> None:
    assert normalized(answer) == expected


@pytest.mark.parametrize(("solution", "box"), [
    ("\\boxed{1} then \\boxed{\\frac{1}{2}}", "\\frac{1}{2}"), ("\\boxed 7$ it is", "7"), ("\\boxed7", None),
    ("\\fbox{3}", None), ("nothing", None), ("\\boxed{1", None), ("\\boxed{a{b}c} and {d}", "a{b}c"),
])  # fmt: skip
def test_the_last_box_is_read_with_its_braces_balanced(solution: str, box: str | None) -> None:
    assert last_box(solution) == box


@pytest.mark.parametrize(("response", "expected"), [
    ("Final Answer: The final answer is $5$. I hope it is correct.", "$5$"),
    ("Final Answer: The final answer is $5$", "[invalidanswer]"),
    ("Final Answer: The final answer is $5$. ", "$5$"),
    ("The final answer is 5", "[invalidanswer]"),
])  # fmt: skip
def test_the_final_answer_stands_in_the_phrase_of_the_examples(response: str, expected: str) -> None:
    assert final_answer(response) == expected


def minerva(solution: str, response: str) -> tuple[float, float]:
    (request,) = MINERVA_MATH500.requests([{"problem": "?", "solution": solution}])
    found = judge(MINERVA_MATH500, request, response).metrics["none"]
    return found["exact_match"], found["math_verify"]


def test_formulas_are_compared_by_their_difference_and_by_math_verify() -> None:
    said = "Final Answer: The final answer is ${}$. I hope it is correct."
    assert minerva("$\\boxed{\\frac{1}{2}}$", said.replace("{}", "0.5")) == (1, 1)
    assert minerva("$\\boxed{[2,5)}$", said.replace("{}", "[2,5)")) == (1, 1)
    assert minerva("$\\boxed{\\frac{1}{2}}$", "So it is $\\boxed{\\frac{2}{4}}$.") == (0, 1)
    assert minerva("$\\boxed{7}$", said.replace("{}", "8")) == (0, 0)
    assert minerva("$\\boxed{7}$", "") == (0, 0)


def test_the_latex_parser_works_with_the_runtime_that_is_installed(capsys: pytest.CaptureFixture[str]) -> None:
    assert str(parse_latex("\\frac{1}{2} x + 3")) == "x/2 + 3"
    assert capsys.readouterr().out == ""


def test_lighteval_takes_a_box_before_any_number_and_else_the_last_expression() -> None:
    metrics, doc = PROTOCOLS["lighteval:gsm8k"].metrics, {"question": "?", "answer": "9*2=18\n#### 18"}
    for response, right in (
        (" 9*2=18. #### 18", 1.0), ("\\boxed{18} apples and 3", 1.0), ("18 apples, then 3", 0.0), ("none", 0.0),
        ("the answer is $18.00", 1.0),
    ):  # fmt: skip
        assert metrics(doc, response) == {"extractive_match": right}, response


def test_real_model_solutions_are_read_as_lm_eval_reads_them(data: Path) -> None:
    """Its own counts over the test part's solutions: each is right by both filters."""
    rows = [json.loads(line) for line in (data / "gsm8k" / "test.jsonl").read_text(encoding="utf-8").splitlines()]
    for name in ("strict-match", "flexible-extract"):
        right = sum(GSM8K.metrics(row, GSM8K.filters[name](row["answer"]))["exact_match"] for row in rows)
        assert right == len(rows), name


def test_a_comparison_that_fails_leaves_the_response_unjudged() -> None:
    broken: Doc = {"question": "?"}
    (request,) = COT.requests([DOC])
    object.__setattr__(request, "doc", broken)
    verdict = judge(COT, request, "The answer is 18.")
    assert verdict.score.value is None and verdict.metrics == {} and "KeyError" in verdict.score.reason


def test_scores_name_each_filter_or_metric_and_unread_is_not_wrong_alone() -> None:
    (request,) = COT.requests([DOC])
    score = judge(COT, request, "so 1018").score
    assert (score.value, score.extracted_answer, dict(score.extra_scores)) == (0.0, None, {"flexible-extract": 1.0})
    (request,) = MINERVA_MATH500.requests([{"problem": "?", "solution": "$\\boxed{7}$"}])
    score = judge(MINERVA_MATH500, request, "$\\boxed{7}$").score
    assert (score.value, score.extracted_answer, dict(score.extra_scores)) == (0.0, None, {"math_verify": 1.0})
