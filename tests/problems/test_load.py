"""The same rows from every kind of source."""

import gzip
import json
import os
import subprocess
import sys

import pytest

from selftrain.errors import DataError
from selftrain.problems import load_problems

ROWS = [{"question": f'How much is {n}+{n}, in words:\n"{n}"?', "answer": str(2 * n)} for n in range(5)]


def as_lines(rows=ROWS):
    return "\n".join(map(json.dumps, rows)) + "\n"


def as_csv():
    import csv
    import io

    text = io.StringIO()
    writer = csv.DictWriter(text, ["question", "answer"])
    writer.writeheader()
    writer.writerows(ROWS)
    return text.getvalue()


def write_parquet(path, rows=ROWS):
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("set.jsonl", as_lines()),
        ("set.json", as_lines()),
        ("set.json", json.dumps(ROWS)),
        ("set.json", json.dumps(ROWS, indent=2)),
        ("set.json", json.dumps({"version": 1, "data": ROWS})),
        ("set.json", json.dumps({"version": 1, "data": ROWS}, indent=1)),
        ("set.jsonl", json.dumps(ROWS)),
        ("set.csv", as_csv()),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_files(tmp_path, name, text, packed):
    path = tmp_path / (name + ".gz" * packed)
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    problems = load_problems(str(path))
    assert [(one.question, one.reference) for one in problems] == [(row["question"], row["answer"]) for row in ROWS]
    assert problems.name == f"{tmp_path.name}/set"
    assert problems[3].id == f"{tmp_path.name}/set/3"


def test_lines_are_those_of_the_file(tmp_path):
    path = tmp_path / "set.csv"
    path.write_text('question,answer\n"a\nb",1\n,2\n')
    with pytest.raises(DataError, match=r"set\.csv:4: the question is empty"):
        load_problems(path)
    path = tmp_path / "set.json"
    path.write_text(json.dumps([*ROWS, {"question": "", "answer": "1"}], indent=1))
    with pytest.raises(DataError, match=r"set\.json:22: the question is empty"):
        load_problems(path)


def test_parquet_keeps_lists_and_structs(tmp_path):
    rows = [{"prompt": [{"role": "user", "content": "2+2?"}], "reward_model": {"ground_truth": "4"}, "nr": 1}]
    write_parquet(tmp_path / "train.parquet", rows)
    (problem,) = load_problems(tmp_path / "train.parquet")
    assert (problem.question, problem.reference, dict(problem.columns)) == ("2+2?", "4", rows[0])


def test_hendrycks_folder(tmp_path):
    for split, subject in (("train", "algebra"), ("train", "geometry"), ("test", "algebra")):
        for number in (1, 2):
            path = tmp_path / "MATH" / split / subject / f"{number}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            row = {"problem": f"{subject} {number}", "level": "Level 1", "type": subject, "solution": r"\boxed{3}"}
            path.write_text(json.dumps(row, indent=4))
    (tmp_path / "MATH" / "README.md").write_text("no data")
    train = load_problems(tmp_path / "MATH")
    assert (train.name, len(train), train[0].reference) == ("MATH/train", 4, "3")
    assert len({problem.id for problem in train}) == 4
    assert len(load_problems(tmp_path / "MATH", split="test")) == 2
    assert len(load_problems(tmp_path / "MATH", split="train", dataset_config="geometry")) == 2
    with pytest.raises(DataError, match="no split 'dev'; it has: test, train"):
        load_problems(tmp_path / "MATH", split="dev")


def test_shards_of_a_split_are_joined(tmp_path):
    (tmp_path / "data").mkdir()
    for shard in (0, 1):
        write_parquet(tmp_path / "data" / f"test-0000{shard}-of-00002.parquet", ROWS[shard::2])
    problems = load_problems(tmp_path)
    assert sorted(problem.question for problem in problems) == sorted(row["question"] for row in ROWS)


def test_datasets_in_memory_and_saved_to_disk(tmp_path):
    from datasets import Dataset, DatasetDict

    data = Dataset.from_list(ROWS)
    both = DatasetDict(train=data, test=data.select(range(2)))
    data.save_to_disk(tmp_path / "one")
    both.save_to_disk(tmp_path / "both")
    for source in (data, tmp_path / "one"):
        assert [problem.reference for problem in load_problems(source)] == ["0", "2", "4", "6", "8"]
    for source in (both, tmp_path / "both"):
        assert len(load_problems(source, split="test")) == 2
        assert len(load_problems(source)) == 5
        assert load_problems(source, split="test")[0].id.endswith("/test/0")
        with pytest.raises(DataError, match="no split 'validation'"):
            load_problems(source, split="validation")


def test_an_unreachable_hub_is_reported_and_local_files_are_offered(tmp_path):
    program = """
import sys
from selftrain.errors import DataError
from selftrain.problems import load_problems
for name in ("gsm8k", "bbh", "someone/something"):
    try:
        load_problems(name, split="test")
    except DataError as failure:
        print(failure.found, failure.do)
"""
    environment = {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(tmp_path),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    told = run.stdout.splitlines()
    assert len(told) == 3
    assert "openai/gsm8k (main)" in told[0]
    assert "SaylorTwift/bbh (boolean_expressions)" in told[1]
    assert all("Hub" in line and "path of the file" in line for line in told)


def test_importing_the_room_is_light():
    program = "import sys, selftrain.problems; print(*{'datasets', 'pyarrow', 'torch', 'numpy'} & set(sys.modules))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""
