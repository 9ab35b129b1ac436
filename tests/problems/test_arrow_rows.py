"""Parquet and datasets: values as they were written; what is broken or a bomb is refused with its place."""

from __future__ import annotations

import datetime
import gzip
import io
import struct

import numpy
import pyarrow
import pyarrow.parquet
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value

from selftrain.errors import DataError
from selftrain.problems import files, load_problems

LABELS = Features({"question": Value("string"), "answer": ClassLabel(names=["no", "yes"])})
YES_NO = Dataset.from_dict({"question": ["a?", "b?"], "answer": [0, 1]}, features=LABELS)


def parquet(path, **columns):
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    return path


def references(source, **settings):
    return [problem.reference for problem in load_problems(source, **settings)]


@pytest.mark.parametrize("kind", [pyarrow.float32(), pyarrow.float16(), pyarrow.float64()])
def test_floats_are_read_as_they_were_written(tmp_path, kind):
    written = [0.1, 2.7, -3.14, 1000.5] if kind != pyarrow.float16() else [0.1, 2.7, -3.14, 0.5]
    numbers = pyarrow.array(map(numpy.float16, written) if kind == pyarrow.float16() else written, kind)
    path = parquet(tmp_path / "a.parquet", question=["a", "b", "c", "d"], answer=numbers)
    assert references(path) == [str(number) for number in written]
    assert [p.columns["answer"] for p in load_problems(path)] == written


def test_floats_inside_lists_and_structs_too(tmp_path):
    pairs = pyarrow.array([[0.1, 2.7], [9.3, 0.2]], pyarrow.list_(pyarrow.float32()))
    assert references(parquet(tmp_path / "l.parquet", question=["a", "b"], answer=pairs)) == ["0.1, 2.7", "9.3, 0.2"]
    kind = pyarrow.struct([("ground_truth", pyarrow.float32())])
    model = pyarrow.array([{"ground_truth": 0.1}, {"ground_truth": 0.7}], kind)
    path = parquet(tmp_path / "s.parquet", prompt=["a", "b"], reward_model=model)
    assert references(path) == ["0.1", "0.7"]


def test_floats_of_datasets_and_of_numpy_too():
    features = Features({"question": Value("string"), "answer": List(Value("float32"))})
    made = Dataset.from_dict({"question": ["a"], "answer": [[0.1, 2.7]]}, features=features)
    assert references(made) == ["0.1, 2.7"]
    rows = [{"question": "a", "answer": numpy.float32(0.1)}, {"question": "b", "answer": numpy.int64(7)}]
    assert references(rows) == ["0.1", "7"]
    assert references([{"question": "a", "answer": numpy.float32("nan")}], require_answers=False) == [None]


def test_rows_of_a_data_frame_may_hold_arrays():
    choices = {"text": numpy.array(["4", "7"], dtype=object), "label": numpy.array(["1", "2"], dtype=object)}
    (problem,) = load_problems([{"question": "Which is prime?", "choices": choices, "answerKey": "2"}])
    assert (problem.question, problem.reference) == ("Which is prime?\nOptions:\nA) 4\nB) 7", "B")
    assert references([{"question": "a", "answer": numpy.array([0.1, 2.7], dtype="float32")}]) == ["0.1, 2.7"]


def test_class_labels_are_their_names_wherever_they_come_from(tmp_path):
    YES_NO.to_parquet(tmp_path / "labels.parquet")
    YES_NO.save_to_disk(tmp_path / "saved")
    (tmp_path / "both").mkdir()
    for source in (YES_NO, DatasetDict(train=YES_NO), YES_NO.to_iterable_dataset(), tmp_path / "saved"):
        assert references(source) == ["no", "yes"]
    assert references(tmp_path / "labels.parquet") == ["no", "yes"]
    assert references(YES_NO.select([1])) == ["yes"]


def test_a_label_of_minus_one_is_none():
    made = Dataset.from_dict({"question": ["a?", "b?"], "answer": [-1, 1]}, features=LABELS)
    assert references(made, require_answers=False) == [None, "yes"]
    with pytest.raises(DataError, match="row 1: the answer is missing"):
        load_problems(made)


def invalid_utf8(rows):
    offsets = pyarrow.py_buffer(struct.pack(f"<{rows + 1}i", *range(rows + 1)))
    return pyarrow.StringArray.from_buffers(rows, offsets, pyarrow.py_buffer(b"a" * (rows - 1) + b"\xff"))


def test_text_that_is_not_utf8_has_its_row_and_column(tmp_path):
    path = parquet(tmp_path / "a.parquet", question=invalid_utf8(1500), answer=["1"] * 1500)
    with pytest.raises(DataError, match=r"a\.parquet: row 1500: column question is not UTF-8: byte 0xff"):
        load_problems(path)
    with pytest.raises(DataError, match="in_memory: row 3 is not UTF-8"):
        load_problems(Dataset(pyarrow.table({"question": invalid_utf8(3), "answer": ["1"] * 3})))


def test_values_that_python_cannot_hold_are_named(tmp_path):
    far = pyarrow.array([0, 2**31 - 1], pyarrow.int32()).cast(pyarrow.date32())
    path = parquet(tmp_path / "a.parquet", question=["a", "b"], answer=far)
    with pytest.raises(DataError, match="row 2: column answer cannot be read"):
        load_problems(path)
    day = pyarrow.array([datetime.date(2024, 3, 15)])
    with pytest.raises(DataError, match="the answer is a date"):
        load_problems(parquet(tmp_path / "b.parquet", question=["a"], answer=day))


def test_two_columns_of_one_name_are_refused(tmp_path):
    columns = [pyarrow.array([text]) for text in ("a", "b", "1")]
    table = pyarrow.Table.from_arrays(columns, names=["question", "question", "answer"])
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(DataError, match="several columns called 'question'"):
        load_problems(tmp_path / "a.parquet")


@pytest.fixture
def small_limit(monkeypatch):
    monkeypatch.setattr(files, "_MAX_BYTES", 2**20)


def gzipped(path, content):
    path.write_bytes(gzip.compress(content))
    return path


def test_a_gzip_bomb_is_refused_before_it_fills_the_memory(tmp_path, small_limit):
    for content in (b"\n" * 2**22, b'{"question": "' + b"x" * 2**22):
        with pytest.raises(DataError, match=r"a\.jsonl\.gz holds more than 1 MiB once it is decompressed"):
            load_problems(gzipped(tmp_path / "a.jsonl.gz", content))


@pytest.mark.parametrize("codec", ["zstd", "gzip", "brotli"])
@pytest.mark.parametrize("dictionary", [True, False], ids=["one value", "many values"])
def test_a_parquet_bomb_is_refused(tmp_path, small_limit, codec, dictionary):
    path, table = tmp_path / "a.parquet", pyarrow.table({"question": ["x" * 1000] * 9000, "answer": ["1"] * 9000})
    pyarrow.parquet.write_table(table, path, compression=codec, use_dictionary=dictionary)
    with pytest.raises(DataError, match="once it is decompressed"):
        load_problems(path)


def test_a_parquet_bomb_whose_footer_lies_is_refused(tmp_path, small_limit):
    """One whose dictionary hides its size: the footer counts the value once."""
    data = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"question": ["x" * 1000] * 20_000, "answer": ["1"] * 20_000}), data)
    metadata = pyarrow.parquet.ParquetFile(data).metadata
    assert sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups)) < 2**20
    (tmp_path / "a.parquet").write_bytes(data.getvalue())
    with pytest.raises(DataError, match="once it is decompressed"):
        load_problems(tmp_path / "a.parquet")


def test_texts_that_repeat_themselves_a_little_are_no_bomb(tmp_path, small_limit):
    story = "Tom has {n} apples and buys {n} more, of which his friend eats 3. " * 9
    lines = "".join(f'{{"question": "{n}. {story}", "answer": {n}}}\n' for n in range(2000))
    assert len(lines) > 2**20
    assert len(load_problems(gzipped(tmp_path / "a.jsonl.gz", lines.encode()), max_problems=9)) == 9
