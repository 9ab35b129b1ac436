"""What a model is asked. The expected hashes were computed from the prompts of lm-eval 0.4.13 and lighteval 0.13.0."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from selftrain.errors import DataError
from selftrain.problems import load_rows
from selftrain.protocols.base import Doc, Request
from selftrain.protocols.registry import PROTOCOLS

ROW = {"question": "What is 2+3?", "answer": "2+3=<<2+3=5>>5\n#### 5"}
TRAIN = [{"question": f"What is {n}+1?", "answer": f"{n}+1={n + 1}\n#### {n + 1}"} for n in range(9)]
MATH = {"problem": "What is $\\frac{1}{2}+\\frac{1}{2}$?", "solution": "It is $\\boxed{1}$.", "answer": "1", "level": 1}


def requests(name: str, docs: Sequence[Doc], train: Sequence[Doc] = (), limit: int | None = None) -> list[Request]:
    return PROTOCOLS[name].requests(docs, train, limit=limit)


def digest(asked: Sequence[Request]) -> str:
    """Of all prompts, each with its place."""
    text = json.dumps([(request.doc_id, request.text()) for request in asked], ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def test_a_question_without_examples_is_the_layout_alone() -> None:
    (request,) = requests("lm-eval:gsm8k_cot_zeroshot", [ROW])
    assert request.text() == "Q: What is 2+3?\nA: Let's think step by step."
    assert request.messages(multiturn=True) == [{"role": "user", "content": request.text()}]
    assert (request.doc_id, request.target) == (0, ROW["answer"])


def test_examples_stand_before_the_question_a_blank_line_apart() -> None:
    (request,) = requests("lm-eval:gsm8k", [ROW], TRAIN)
    assert len(request.shots) == 5
    *examples, last = request.text().split("\n\n")
    assert last == "Question: What is 2+3?\nAnswer:"
    assert all(example.startswith("Question: ") and "\nAnswer: " in example for example in examples)


def test_each_question_gets_examples_of_its_own_and_a_limit_changes_none() -> None:
    docs = [ROW | {"question": f"{n}?"} for n in range(6)]
    asked = requests("lm-eval:gsm8k", docs, TRAIN)
    assert len({request.shots for request in asked}) > 1
    assert requests("lm-eval:gsm8k", docs, TRAIN, limit=3) == asked[:3]


def test_examples_become_turns_of_a_chat_or_one_turn() -> None:
    (request,) = requests("lm-eval:gsm8k_cot", [ROW])
    turns = request.messages(multiturn=True)
    assert [turn["role"] for turn in turns] == ["user", "assistant"] * 8 + ["user"]
    assert turns[0]["content"].startswith("Q: There are 15 trees") and turns[0]["content"].endswith("\nA:")
    assert turns[1]["content"].endswith("The answer is 6.")
    assert request.messages(multiturn=False) == [{"role": "user", "content": request.text()}]
    assert request.target == "5"


def test_minerva_shows_its_four_examples_and_keeps_the_answer_normalized() -> None:
    (request,) = requests("lm-eval:minerva_math500", [MATH | {"solution": "So $x=\\boxed{1,000 \\text{ cm}}$"}])
    assert request.text().count("I hope it is correct.") == 4
    assert request.text().endswith("\n\nProblem:\nWhat is $\\frac{1}{2}+\\frac{1}{2}$?\n\nSolution:")
    assert request.doc == MATH | {"solution": "So $x=\\boxed{1,000 \\text{ cm}}$", "answer": "1000"}
    assert list(request.doc) == list(MATH)


def test_the_prompt_of_minerva_is_that_of_lm_eval() -> None:
    assert digest(requests("lm-eval:minerva_math500", [MATH])) == "ff3b27614890b7eb"


def test_lighteval_asks_in_an_order_of_its_own() -> None:
    docs = [ROW | {"question": f"{n}?"} for n in range(6)]
    order = [request.doc_id for request in requests("lighteval:gsm8k", docs, TRAIN)]
    assert sorted(order) == list(range(6)) and order != list(range(6))
    assert [request.doc_id for request in requests("lighteval:gsm8k", docs, TRAIN, limit=2)] == order[:2]


@pytest.mark.parametrize(("name", "expected"), [
    ("lm-eval:gsm8k", "06d5c1987a679611"),
    ("lm-eval:gsm8k_cot", "305f1b6ed3e26859"),
    ("lm-eval:gsm8k_cot_zeroshot", "23411c0161d4a37b"),
    ("lighteval:gsm8k", "3cb4a0bccaf0698b"),
])  # fmt: skip
def test_two_hundred_prompts_of_gsm8k_are_those_of_the_harness(name: str, expected: str, data: Path) -> None:
    test, train = ([row.columns for row in load_rows(data / "gsm8k", split=split).rows] for split in ("test", "train"))
    assert digest(requests(name, test, train, limit=200)) == expected


@pytest.mark.parametrize(("doc", "said"), [
    ({"problem": "2+2?", "answer": "4"}, "question"),
    ({"question": "2+2?"}, "answer"),
    ({"question": "2+2?", "answer": 4}, "answer"),
    ({"question": None, "answer": "4"}, "question"),
])  # fmt: skip
def test_a_row_of_another_form_is_refused_with_the_columns_it_has(doc: Doc, said: str) -> None:
    with pytest.raises(DataError, match=rf"row 2 .* has no text in {said}; its columns are {', '.join(doc)}"):
        requests("lm-eval:gsm8k_cot", [ROW, doc])


def test_too_few_training_rows_to_draw_from_are_refused() -> None:
    with pytest.raises(DataError, match="the training split has 2 rows"):
        requests("lm-eval:gsm8k", [ROW], TRAIN[:2])


def test_a_solution_without_a_box_is_refused() -> None:
    with pytest.raises(DataError, match=r"no \\boxed"):
        requests("lm-eval:minerva_math500", [MATH | {"solution": "It is 1."}])
