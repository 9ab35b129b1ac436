"""What is wrong is said with its place, why it matters, and what to do; what is only odd is counted."""

import json

import pytest

from selftrain.errors import DataError, SettingsError
from selftrain.problems import load_problems

GOOD = '{"question": "a", "answer": "1"}\n'


def refused(source, **settings):
    with pytest.raises(DataError) as failure:
        load_problems(source, **settings)
    assert failure.value.found
    assert failure.value.why
    assert failure.value.do
    return str(failure.value)


def file(tmp_path, content, name="set.jsonl"):
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_no_such_file_names_the_nearest(tmp_path):
    (tmp_path / "train.jsonl").write_text(GOOD)
    assert 'Did you mean "train.jsonl"?' in refused(tmp_path / "trian.jsonl")
    folder = tmp_path / "gsm8k"
    folder.mkdir()
    assert 'Did you mean "gsm8k"?' in refused(tmp_path / "gsmk" / "train.jsonl")


def test_a_name_that_is_nearly_known_datasets():
    message = refused("gsm8")
    assert 'Did you mean "gsm8k"?' in message
    assert "owner/name" in message


def test_files_of_other_kinds_are_refused(tmp_path):
    assert ".jsonl" in refused(file(tmp_path, "a", "set.txt"))


@pytest.mark.parametrize("name", ["set.jsonl", "set.json", "set.csv"])
def test_an_empty_file(tmp_path, name):
    assert "has no rows" in refused(file(tmp_path, "", name))


def test_empty_rows_and_folders(tmp_path):
    assert "has no rows" in refused([])
    assert "holds no data file" in refused(tmp_path)


def test_rows_that_are_none():
    assert "row 2: 'text' is a str" in refused([{"question": "a", "answer": "1"}, "text"])


def test_invalid_utf8_has_line_and_byte(tmp_path):
    path = file(tmp_path, GOOD.encode() + b'{"question": "caf\xe9", "answer": "1"}\n')
    message = refused(path)
    assert f"{path}:2: byte 0xe9 at byte 18 of the line" in message
    assert "iconv" in message


def test_bom_and_crlf_are_read_and_counted(tmp_path):
    lines = "\r\n".join(json.dumps({"question": f"q{n}", "answer": n}) for n in range(3)) + "\r\n"
    problems = load_problems(file(tmp_path, b"\xef\xbb\xbf" + lines.encode()))
    assert [problem.reference for problem in problems] == ["0", "1", "2"]
    assert problems[0].columns == {"question": "q0", "answer": 0}
    assert [warning.split()[0] for warning in problems.warnings] == ["1", "3"]


def test_crlf_is_how_csv_files_end_their_lines(tmp_path):
    problems = load_problems(file(tmp_path, "question,answer\r\na,1\r\nb,2\r\n", "a.csv"))
    assert [problem.reference for problem in problems] == ["1", "2"] and not problems.warnings


@pytest.mark.parametrize(
    ("name", "content", "place"),
    [
        ("a.jsonl", GOOD + '{"question": "b" "answer": "2"}\n', ":2:18: broken JSON"),
        ("a.json", GOOD + '{"question": "b",\n', ":2:18: broken JSON"),
        ("a.json", '[\n{"question": "a", "answer": "1"},\n{"question" "b"}\n]', ":3:13: broken JSON"),
        ("a.json", '[\n{"question": "a", "answer": "1"},\n]', ":3:1: broken JSON"),
        ("a.json", '[{"question": "a", "answer": "1"}', ":1:34: broken JSON"),
        ("a.json", '[{"question": "a", "answer": "1"}] more', ":1:36: broken JSON"),
        ("a.json", '{\n"data": [{"question": "a",,}]\n}', ":2:27: broken JSON"),
        ("a.jsonl", GOOD + '{"question": "b", "answer": NaN}', ":2: NaN is neither JSON nor an answer"),
        ("a.json", '[\n{"question": "b", "answer": -Infinity}]', ":2: -Infinity is neither"),
        ("a.jsonl", GOOD + '{"question": "b", "answer": 1, "answer": 2}', ":2: the key 'answer' occurs 2 times"),
        ("a.jsonl", GOOD + "[1, 2]", ":2: [1, 2] is not an object"),
        ("a.jsonl", '{"a": ' * 100_000, ":1: nested too deeply"),
        ("a.csv", "question,answer\na,1\nb\n", ":3: 1 fields where the header has 2"),
        ("a.csv", "question,question\na,1\n", ":1: a column name occurs twice"),
        ("a.csv", 'question,answer\na,1\n"b,2\n', ":3: broken CSV"),
    ],
)
def test_broken_files_have_line_and_column(tmp_path, name, content, place):
    path = file(tmp_path, content, name)
    assert f"{path}{place}" in refused(path)


@pytest.mark.parametrize("name", ["a.parquet", "a.jsonl.gz", "a.parquet.gz"])
def test_broken_binary_files(tmp_path, name):
    assert name in refused(file(tmp_path, "no such thing", name))


def test_a_csv_file_with_other_separators_is_named_as_such(tmp_path):
    path = file(tmp_path, "question;answer\na;1\n", "a.csv")
    message = refused(path)
    assert f"{path} has one column, 'question;answer', which looks like several that ';' separates" in message


def test_empty_questions_have_their_lines(tmp_path):
    path = file(tmp_path, GOOD + "\n" + '{"question": "  ", "answer": "1"}\n' + '{"answer": "1"}\n')
    message = refused(path)
    assert f"2 of 3 rows cannot be used:\n  {path}:3: the question is empty (column question)\n  {path}:4:" in message


def test_ids_must_be_there_and_unique(tmp_path):
    rows = [{"id": 1, "question": "a", "answer": "1"}, {"id": " ", "question": "b", "answer": "1"}]
    rows += [{"id": 1, "question": "c", "answer": "1"}]
    path = file(tmp_path, "\n".join(map(json.dumps, rows)))
    message = refused(path)
    assert f"{path}:2: the id is empty (column id)" in message
    assert f"/1' belongs to {path}:1 already" in message
    assert len(load_problems(path, id_column="position")) == 3


def test_twenty_faults_are_named_and_the_rest_counted():
    message = refused([{"question": "", "answer": "1"}] * 50 + [{"question": "a", "answer": "1"}])
    assert "50 of 51 rows" in message
    assert message.count("the question is empty") == 20
    assert "... and 30 more" in message


@pytest.mark.parametrize("character", ["\\u0000", "\\ud800"])
def test_characters_that_cannot_be_written_are_refused(tmp_path, character):
    path = file(tmp_path, f'{{"question": "a{character}", "answer": "1"}}')
    assert f"{path}:1: the character" in refused(path)


def test_no_message_of_the_user():
    assert "no message of the user" in refused([{"messages": [{"role": "system", "content": "x"}], "answer": "1"}])


def test_settings_that_cannot_be_meant(tmp_path):
    with pytest.raises(SettingsError, match="dataset_config"):
        load_problems(file(tmp_path, GOOD), dataset_config="main")
    for nothing in (0, -1):
        with pytest.raises(SettingsError):
            load_problems([{"question": "a", "answer": "1"}], max_problems=nothing)
        with pytest.raises(SettingsError):
            load_problems("word_problems", max_problems=nothing)


def test_repeats_are_counted_and_kept():
    rows = [{"question": "How many?", "answer": "1"}, {"question": "how  many", "answer": "2"}]
    problems = load_problems(rows)
    assert len(problems) == 2
    assert problems.warnings == ("1 question occurs more than once", "1 repeated question has different answers")


def test_an_empty_cell_of_a_data_frame_is_no_answer():
    rows = [{"question": "How much is 1+1?", "answer": "2"}, {"question": "How much is 2+2?", "answer": float("nan")}]
    with pytest.raises(DataError, match="row 2"):
        load_problems(rows)
