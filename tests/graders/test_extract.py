r"""Where the answer stands. The cases are the rows of the table in `selftrain.graders.extract`."""

from __future__ import annotations

import time

import pytest

from selftrain.graders import extract_answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("3+4=<<3+4=7>>7 apples.\n#### 7", "7"),
        ("####7", "7"),
        ("#### 12 apples\nand more", "12 apples"),
        ("Hence $\\boxed{\\frac{\\sqrt{3}}{2}}$.", "\\frac{\\sqrt{3}}{2}"),
        ("so \\fbox{3} it is", "3"),
        ("so $\\boxed 7$ it is", "7"),
        ("\\boxed{\\{1, 2\\}}", "\\{1, 2\\}"),
        ("\\boxed{\\boxed{5}}", "5"),
        ("\\boxed{x\\\\}", "x\\\\"),
        ("The answer is 18.", "18"),
        ("The answer is 18. I hope it is correct.", "18"),
        ("the final answer is: **18**", "18"),
        ("**Answer:** 18 dollars", "18 dollars"),
        ("The answer to the question is 4.5.", "4.5"),
        ("The answer is 7 (since 14/2 = 7).", "7"),
        ("The answer is\n\n18", "18"),
        ("The answer is \\[\n\\frac12\n\\] as shown.", "\\[ \\frac12 \\] as shown"),
        ("### Final answer\n\n7", "7"),
        ("Final Answer: The largest $n$ is 34.", "34"),
        ("She made 9 * 2 = 18.\nA: 18", "18"),
        ("<answer>42</answer>", "42"),
    ],
)
def test_every_marker_is_read(text: str, answer: str) -> None:
    assert extract_answer(text) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("We try $\\boxed{2}$, but no. So $\\boxed{3}$.", "3"),
        ("#### 3\nNo, wait.\n#### 4", "4"),
        ("Interest is $\\boxed{255}$. Final Answer: The final answer is $10,455$.", "$10,455$"),
        ("The answer is 4. No: \\boxed{5}", "5"),
        ("\\boxed{4}\n#### 5", "5"),
    ],
)
def test_the_last_marker_counts(text: str, answer: str) -> None:
    assert extract_answer(text) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("\\boxed{1}, \\boxed{2} and $\\boxed{3}$", "1, 2, 3"),
        ("$\\boxed{k=45} \\quad \\text{and} \\quad \\boxed{n=2}$", "k=45, n=2"),
        ("\\boxed{2}\n\n\\boxed{3}", "3"),
        ("\\boxed{1} no no no \\boxed{2}", "2"),
        ("\\boxed{3}, \\boxed{3}", "3"),
    ],
)
def test_boxes_are_one_list_only_where_joined(text: str, answer: str) -> None:
    assert extract_answer(text) == answer


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  \n ",
        "She sold 72 clips.\n####",
        "The answer is $\\boxed{}$.",
        "The answer is",
        "so it is \\boxed{14",
        "so it is \\boxed",
        "<think>It must be \\boxed{42}",
        "<think>a</think> \\boxed{1} <think> \\boxed{2}",
    ],
)
def test_an_empty_or_broken_marker_is_no_answer(text: str) -> None:
    assert extract_answer(text) is None


def test_only_what_follows_the_thought_counts() -> None:
    assert extract_answer("<think>Maybe \\boxed{41}</think>The answer is \\boxed{42}.") == "42"
    assert extract_answer("the template opened the thought: \\boxed{41}</think>\\boxed{42}") == "42"
    assert extract_answer("<think>\\boxed{41}</think>\nI am\nnot sure.") is None


@pytest.mark.parametrize("turn", ["Question: Tom has 3.", "Q: Tom?", "**Problem 2:** Tom?", "<|im_start|>user\nTom?"])
def test_a_next_question_is_not_answered_by_this_one(turn: str) -> None:
    assert extract_answer(f"3*4=12\n#### 12\n\n{turn}\nAnswer: 5\n#### 5") == "12"


def test_a_repeated_question_before_the_answer_is_skipped() -> None:
    assert extract_answer("Question: Tom has 3?\nHe has 3.\n#### 3") == "3"


@pytest.mark.parametrize("text", ["First 5.\nThen 3 more.\nSo 8", "It may be 8.\n\nOr 9.", "We answered it\nwith 18"])
def test_numbers_that_are_mentioned_are_not_answers(text: str) -> None:
    assert extract_answer(text) is None


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("18", "18"),
        (" 18.\n", "18"),
        ("The identity is $ \\begin{pmatrix}1\\\\0\\end{pmatrix} $.", "$ \\begin{pmatrix}1\\\\0\\end{pmatrix} $"),
        ("a total loss of $28$ percent", "$28$ percent"),
        ("Tom buys 5 more", "Tom buys 5 more"),
        ("for $3 and $4", "for $3 and $4"),
        ("either $3$ or $4$", "either $3$ or $4$"),
    ],
)
def test_one_line_is_taken_whole_or_for_its_only_formula(text: str, answer: str) -> None:
    assert extract_answer(text) == answer


@pytest.mark.parametrize(
    "text",
    [
        "\\boxed{" * 5000 + "1",
        "answer " * 50_000,
        "answer to " * 50_000,
        " " * 200_000 + "The answer is 7",
        "\\boxed{1}," * 20_000,
        "$" * 100_000,
        "Question:\n" * 30_000,
        "#" * 100_000,
        "((([[[{{{" * 20_000,
    ],
)
def test_reading_is_quick_whatever_the_text(text: str) -> None:
    started = time.perf_counter()
    extract_answer(text)
    assert time.perf_counter() - started < 1.0
