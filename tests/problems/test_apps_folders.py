"""The folder layout of APPS, a folder for each problem."""

import json

import pytest

from selftrain.errors import DataError
from selftrain.problems import load_problems
from selftrain.problems.code import read_task

TESTS = {"inputs": ["1 2\n"], "outputs": ["3\n"]}


def write(folder, **files):
    """A problem folder; a file whose text is None is not there."""
    texts = {
        "question.txt": f"Sum {folder.name}?\n",
        "input_output.json": json.dumps(TESTS),
        "solutions.json": json.dumps(["print(sum(map(int, input().split())))"]),
        "metadata.json": json.dumps({"difficulty": "introductory", "url": "https://example.org"}),
        "starter_code.py": None,
    }
    folder.mkdir(parents=True)
    for name, text in (texts | {name.replace("__", "."): text for name, text in files.items()}).items():
        if text is not None:
            (folder / name).write_text(text)
    return folder


def test_the_folders_of_apps(data):
    problems = load_problems(data / "apps")
    assert problems.name == "apps/train"
    assert [problem.id for problem in problems] == ["apps/train/1", "apps/train/2287", "apps/train/2404"]
    assert problems.grader == "code"
    assert problems.warnings == ()
    assert all(problem.solution and problem.reference for problem in problems)
    assert [read_task(problem.columns).kind for problem in problems] == ["stdin", "stdin", "call"]
    assert [read_task(problem.columns).num_tests for problem in problems] == [1, 3, 1]
    assert list(problems[2].columns) == [
        "problem_id", "question", "solutions", "input_output", "starter_code", "difficulty", "url",
    ]  # fmt: skip
    assert problems[2].columns["problem_id"] == 2404
    assert "class Solution:" in problems[2].question
    assert problems[2].question.endswith("Use Call-Based format\nANSWER:")
    # What the model of CodeRL wrote is no part of a problem.
    assert not any("baseline" in value for value in problems[0].columns.values() if isinstance(value, str))


def test_a_folder_of_one_split_reads_the_same(data):
    one, both = load_problems(data / "apps" / "train"), load_problems(data / "apps", split="train")
    assert one.problems == both.problems
    with pytest.raises(DataError, match=r"no split 'test'; it has: train"):
        load_problems(data / "apps", split="test")


def test_splits_are_folders(tmp_path):
    for split, number in (("train", "0000"), ("train", "0001"), ("test", "0000")):
        write(tmp_path / "APPS" / split / number)
    (tmp_path / "APPS" / "README.txt").write_text("no problem")
    (tmp_path / "APPS" / "train" / ".cache").mkdir()
    (tmp_path / "APPS" / "train" / "notes").mkdir()
    assert [problem.id for problem in load_problems(tmp_path / "APPS")] == ["APPS/train/0", "APPS/train/1"]
    assert [problem.id for problem in load_problems(tmp_path / "APPS", split="test")] == ["APPS/test/0"]
    with pytest.raises(DataError, match="no split 'dev'; it has: test, train"):
        load_problems(tmp_path / "APPS", split="dev")


def test_files_that_are_not_there_are_as_in_the_hubs_copy(tmp_path):
    bare = write(tmp_path / "s" / "sum", solutions__json=None, metadata__json=None)
    (problem,) = load_problems(tmp_path / "s", id_column="position")
    assert (problem.id, problem.solution) == (f"{tmp_path.name}/s/sum", None)
    assert dict(problem.columns) == {
        "problem_id": "sum",
        "question": (bare / "question.txt").read_text(),
        "solutions": "",
        "input_output": json.dumps(TESTS),
        "starter_code": "",
        "difficulty": "",
        "url": "",
    }


@pytest.mark.parametrize("text", [None, "", "\n", "null", "{}", '{"inputs": [], "outputs": []}'])
def test_problems_without_tests_are_left_out(tmp_path, text):
    write(tmp_path / "apps" / "0000", input_output__json=text)
    write(tmp_path / "apps" / "0001")
    problems = load_problems(tmp_path / "apps")
    assert [problem.columns["problem_id"] for problem in problems] == [1]
    assert problems.warnings == ("1 problem has no tests and is left out",)


def test_errors_name_their_folder(tmp_path):
    root = tmp_path / "apps"
    write(root / "0000")
    for number, name in ((1, "metadata__json"), (2, "metadata__json")):
        write(root / f"000{number}", **{name: "{" if number == 1 else "[]"})
    (write(root / "0003") / "question.txt").write_bytes(b"caf\xe9")
    with pytest.raises(DataError) as failure:
        load_problems(root)
    assert "3 of 4 rows cannot be used" in failure.value.found
    assert f"{root / '0001'}: metadata.json is not JSON" in failure.value.found
    assert f"{root / '0002'}: metadata.json holds a list, not an object" in failure.value.found
    assert f"{root / '0003'}: question.txt is not UTF-8: byte 0xe9 at 4" in failure.value.found


def test_errors_in_the_tests_name_their_folder(tmp_path):
    root = tmp_path / "apps"
    write(root / "0000")
    write(root / "0001", question__txt=None)
    write(root / "0002", input_output__json=json.dumps({"inputs": ["1"], "outputs": []}))
    with pytest.raises(DataError) as failure:
        load_problems(root)
    assert f"{root / '0001'}: its question is empty" in failure.value.found
    assert f"{root / '0002'}: its inputs and outputs are not two lists of one length" in failure.value.found


def test_the_config_is_a_difficulty(tmp_path):
    for number, difficulty in enumerate(("introductory", "interview", "interview")):
        write(tmp_path / "apps" / f"000{number}", metadata__json=json.dumps({"difficulty": difficulty}))
    assert len(load_problems(tmp_path / "apps", dataset_config="interview")) == 2
    assert len(load_problems(tmp_path / "apps", dataset_config="all")) == 3
    with pytest.raises(DataError, match=r"found: interview, introductory(.|\n)*Ask for \"interview\""):
        load_problems(tmp_path / "apps", dataset_config="interviews")
