"""Every known_datasets set is read from rows that have the columns of its hub copy."""

import pytest

from selftrain.errors import DataError
from selftrain.problems import known_datasets, load_problems
from selftrain.problems.build import build_problems
from selftrain.problems.columns import detect_columns
from selftrain.problems.hub import PARQUET_BRANCH, read_hub
from selftrain.problems.registry import find_known
from selftrain.problems.rows import Table, rows_of

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

CODE = "def add(a, b):\r\n    return a + b"
TESTS = ["assert add(1, 2) == 3", "assert add(2, 2) == 4"]

TASK_ROWS = {
    "humaneval": {
        "task_id": "HumanEval/7",
        "prompt": "def add(a, b):\n",
        "canonical_solution": "    return a + b\n",
        "test": "def check(candidate):\n    assert candidate(1, 2) == 3\n",
        "entry_point": "add",
    },
    "mbpp": {
        "task_id": 7,
        "text": "Add.",
        "code": CODE,
        "test_list": TESTS,
        "test_setup_code": "",
        "challenge_test_list": [],
    },
    "mbpp_sanitized": {
        "source_file": "a.ipynb",
        "task_id": 7,
        "prompt": "Add.",
        "code": CODE,
        "test_imports": ["import math"],
        "test_list": TESTS,
    },
    "apps": {
        "problem_id": 7,
        "question": "Add.",
        "solutions": '["print(3)"]',
        "input_output": '{"inputs": ["1 2"], "outputs": ["3"]}',
        "difficulty": "interview",
        "url": "u",
        "starter_code": "",
    },
}


def test_every_known_dataset_is_covered_here():
    assert set(known_datasets()) == {*HUB_ROWS, *TASK_ROWS, "word_problems"}
    assert len(known_datasets()["bbh"].configs) == 27
    assert len(known_datasets()["math"].configs) == 7


@pytest.mark.parametrize("name", HUB_ROWS)
def test_hub_rows_are_read(name):
    known = known_datasets()[name]
    table = Table(f"{name}/test", rows_of([HUB_ROWS[name]], name))
    mapping = detect_columns(table, None, None, known=known.mapping, require_answers=True)
    assert mapping.question == known.mapping.question
    (problem,) = build_problems(table, mapping, None, require_answers=True)
    assert problem.question.startswith("2+2?") or problem.question == "We add. 2+2?"
    assert problem.reference == ("B" if name == "aqua" else "4")


@pytest.mark.parametrize("name", [name for name in HUB_ROWS if name != "mawps"])
def test_a_local_copy_of_the_hub_rows_reads_the_same(name):
    known = known_datasets()[name]
    problems = load_problems([HUB_ROWS[name]])
    assert problems[0].reference == ("B" if name == "aqua" else "4")
    table = Table(name, rows_of([HUB_ROWS[name]], name))
    assert problems.grader == detect_columns(table, None, None, known=known.mapping, require_answers=True).grader


@pytest.mark.parametrize("name", TASK_ROWS)
def test_hub_rows_of_tasks_are_read(name):
    known = known_datasets()[name]
    table = Table(f"{name}/test", rows_of([TASK_ROWS[name]], name))
    mapping = detect_columns(table, None, None, known=known.mapping, require_answers=True)
    assert mapping == known.mapping
    problems = build_problems(table, mapping, None, require_answers=True)
    assert (problems.grader, problems[0].id) == ("code", f"{name}/test/7")
    assert problems[0].reference
    assert problems[0].solution
    both = (
        detect_columns(table, "difficulty", "url", known=known.mapping, require_answers=True)
        if name == "apps"
        else None
    )
    assert both is None or (both.grader, both.question, both.answer) == ("math", "difficulty", "url")


def test_a_config_on_the_parquet_branch_is_a_folder(tmp_path, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    for config in ("all", "interview"):
        for split in ("train", "test"):
            (tmp_path / "set" / config / split).mkdir(parents=True)
            rows = datasets.Dataset.from_list([{"question": f"{config} {split}", "answer": "1"}])
            rows.to_parquet(tmp_path / "set" / config / split / "0000.parquet")
    table = read_hub(str(tmp_path / "set"), ("all",), "train", keyed=False, revision=PARQUET_BRANCH)
    assert [row.columns["question"] for row in table.rows] == ["all train"]


@pytest.mark.parametrize(
    ("spelled", "name"),
    [
        ("GSM8K", "gsm8k"),
        ("AIME-24", "aime24"),
        ("MATH-500", "math500"),
        ("MBPP-sanitized", "mbpp_sanitized"),
        ("word-problems", "word_problems"),
    ],
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
    with pytest.raises(DataError, match="openai_humaneval has no train split, only test"):
        load_problems("humaneval", split="train")
    assert known_datasets()["humaneval"].resolve(None) == ("test", "test")
    assert known_datasets()["mbpp"].resolve("prompt") == ("prompt", "prompt")
    assert known_datasets()["aime24"].resolve("test") == ("test", "train")
    assert known_datasets()["math500"].resolve(None) == ("test", "test")
    assert known_datasets()["gsm8k"].resolve(None) == ("train", "train")
    assert known_datasets()["aqua"].resolve("validation") == ("validation", "validation")
