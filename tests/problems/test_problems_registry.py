"""Every registered set is read from rows that have the columns of its hub copy."""

import pytest

from selftrain.errors import DataError
from selftrain.problems import load_problems, registered
from selftrain.problems.build import build
from selftrain.problems.registry import find_known
from selftrain.problems.rows import Table, rows_of
from selftrain.problems.shapes import find_shape

SUM = {"question": "2+2?", "answer": "2+2=4\n#### 4"}
LILA = {"input": "2+2?", "output_program": "print(4)", "output_answer": "4.0", "split": "test", "dataset": "x.json"}

HUB_ROWS = {
    "gsm8k": SUM,
    "math": {"problem": "2+2?", "level": "Level 1", "type": "Algebra", "solution": r"It is $\boxed{4}$."},
    "math500": {
        "problem": "2+2?",
        "solution": r"\boxed{4}",
        "answer": "4",
        "subject": "Algebra",
        "level": 1,
        "unique_id": "test/algebra/1.json",
    },
    "amc23": {"id": 0, "question": "2+2?", "answer": 4.0, "url": "u"},
    "aime24": {"id": 60, "problem": "2+2?", "solution": r"\boxed{004}", "answer": "004", "url": "u", "year": "2024"},
    "aime25": {"problem": "2+2?", "answer": "4", "id": "0"},
    "olympiadbench": {"id": 1, "question": "2+2?", "solution": ["so 4"], "final_answer": ["$4$"]},
    "minerva": {"question": "2+2?", "answer": "4"},
    "multiarith": {"question": " 2+2? ", "final_ans": "4"},
    "svamp": {"ID": "chal-1", "Body": "We add", "Question": "2+2?", "Answer": "4.0", "question_concat": "We add 2+2?"},
    "bbh": {"input": "2+2?", "target": "4"},
    "aqua": {"question": "2+2?", "options": ["A)3", "B)4"], "rationale": "so B", "correct": "B"},
    "simuleq": LILA,
    "addsub": LILA,
    "singleeq": LILA,
    "mawps": {"id": "m1", "question": "2+2?", "chain": "<gadget>", "result": "4", "result_float": 4.0},
}


def test_every_registered_set_is_covered_here():
    assert set(registered()) == {*HUB_ROWS, "word_problems"}
    assert len(registered()["bbh"].configs) == 27
    assert len(registered()["math"].configs) == 7


@pytest.mark.parametrize("name", HUB_ROWS)
def test_hub_rows_are_read(name):
    known = registered()[name]
    table = Table(f"{name}/test", rows_of([HUB_ROWS[name]], name))
    shape = find_shape(table, None, None, known=known.shape, require_answers=True)
    assert shape.question == known.shape.question
    (problem,) = build(table, shape, None, require_answers=True)
    assert problem.question.startswith("2+2?") or problem.question == "We add. 2+2?"
    assert problem.reference == ("B" if name == "aqua" else "4")


@pytest.mark.parametrize("name", [name for name in HUB_ROWS if name != "mawps"])
def test_a_local_copy_of_the_hub_rows_reads_the_same(name):
    known = registered()[name]
    problems = load_problems([HUB_ROWS[name]])
    assert problems[0].reference == ("B" if name == "aqua" else "4")
    assert problems.judge == known.shape.judge


@pytest.mark.parametrize(
    ("spelled", "name"),
    [("GSM8K", "gsm8k"), ("AIME-24", "aime24"), ("MATH-500", "math500"), ("word-problems", "word_problems")],
)
def test_names_are_found_however_they_are_spelled(spelled, name):
    found = find_known(spelled)
    assert found is not None
    assert found[0] == name


@pytest.mark.parametrize("path", ["./gsm8k", "gsm8k.jsonl", "openai/gsm8k"])
def test_paths_and_hub_ids_are_no_names(path):
    assert find_known(path) is None


def test_splits_that_a_set_does_not_have_are_refused():
    with pytest.raises(DataError, match="MATH-500 has no train split, only test"):
        load_problems("math500", split="train")
    assert registered()["aime24"].resolve("test") == ("test", "train")
    assert registered()["math500"].resolve(None) == ("test", "test")
    assert registered()["gsm8k"].resolve(None) == ("train", "train")
    assert registered()["aqua"].resolve("validation") == ("validation", "validation")
