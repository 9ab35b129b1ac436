"""What a store promises while nothing goes wrong, and what it refuses."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from selftrain.errors import RunError
from selftrain.storage.journal import Fingerprint, Store, StoreOptions, check, holds_run, repair
from selftrain.storage.journal.entries import Entry, build_chain
from selftrain.storage.journal.lines import encode, split
from tests.storage.journal.driver import tree
from tests.storage.journal.script import OPTIONS, SCRIPT, play, rows_of

#: Syncs when asked to, and at the end.
LAZY = StoreOptions(commit_seconds=1e9, reserve_bytes=0)


def log_file(folder: Path) -> Path:
    return folder / "logs" / "a.log"


def filled(folder: Path, items: int = 6, flush_after: int = 3) -> Path:
    """A log, the first items of which are known to be synced; its file."""
    with Store.create(folder, {}, LAZY) as store:
        log = store.log("a")
        for item in range(items):
            log.append(f"item-{item}", rows_of("a", item))
            if item + 1 == flush_after:
                log.flush()
    return log_file(folder)


def damage(place: Path, line: int) -> None:
    data = bytearray(place.read_bytes())
    data[split(bytes(data))[line - 1].start + 20] ^= 1
    place.write_bytes(data)


def test_a_journal_reads_as_it_was_written(run: Path) -> None:
    store = Store.read(run)
    assert [entry.kind for entry in store.journal[:4]] == ["create", "commit", "commit", "commit"]
    assert store.journal[0].metadata == {"script": SCRIPT}
    samples = store.finished("round-0002/samples")
    assert samples and samples.metadata == {"items": 40}
    assert list(samples.files) == ["samples/round-0002.parquet"] and store.finished("round-0004/samples") is None
    assert store.verify("round-0003/weights").files.keys() <= store.files.keys()
    assert check(run, OPTIONS.unmanaged) == []


def test_the_first_of_a_key_wins(tmp_path: Path) -> None:
    filled(tmp_path)
    with Store.open(tmp_path, LAZY) as store:
        log = store.log("a")
        assert list(log.rows) == [f"item-{item}" for item in range(6)] and log.rows["item-4"] == rows_of("a", 4)
        log.append("item-0", rows_of("other", 0))
        log.append("new", rows_of("a", 8))
        log.append("new", rows_of("other", 8))
    with Store.open(tmp_path, LAZY) as store:
        rows = {f"item-{item}": rows_of("a", item) for item in range(6)} | {"new": rows_of("a", 8)}
        assert store.log("a").rows == rows


def test_a_torn_last_line_is_ignored(tmp_path: Path) -> None:
    place = filled(tmp_path)
    place.write_bytes(place.read_bytes()[:-9])
    assert [str(one.is_damage) for one in check(tmp_path)] == ["False"]
    with Store.open(tmp_path, LAZY) as store:
        assert list(store.log("a").rows) == [f"item-{item}" for item in range(5)]


def test_a_hole_in_what_was_never_synced_is_ignored_and_the_rest_kept(tmp_path: Path) -> None:
    """So a loss of power may leave it: pages reach the disk in any order."""
    damage(filled(tmp_path), 5)
    with Store.open(tmp_path, LAZY) as store:
        assert list(store.log("a").rows) == ["item-0", "item-1", "item-2", "item-3", "item-5"]


def test_damage_in_what_was_synced_is_refused_and_repair_keeps_the_rest(tmp_path: Path) -> None:
    place = filled(tmp_path)
    damage(place, 2)
    bad = place.read_bytes()
    refused = pytest.raises(RunError, match=r"a\.log: line 2 is damaged.*\n.*\n.*--repair")
    with Store.open(tmp_path, LAZY) as store, refused:
        store.log("a")
    (found,) = repair(tmp_path)
    assert (found.file, found.is_damage) == ("logs/a.log", True)
    assert (tmp_path / "quarantine/1/logs/a.log").read_bytes() == bad
    with Store.open(tmp_path, LAZY) as store:
        assert list(store.log("a").rows) == ["item-0", "item-2", "item-3", "item-4", "item-5"]


def test_a_log_can_be_discarded(tmp_path: Path) -> None:
    filled(tmp_path)
    with Store.open(tmp_path, LAZY) as store:
        assert store.existing_logs() == ["a"]
        store.log("a")
        store.discard_log("a")
        assert store.existing_logs() == [] and store.log("a").rows == {}


def test_text_that_utf8_cannot_encode_is_refused(tmp_path: Path) -> None:
    with Store.create(tmp_path, {}, LAZY) as store:
        with pytest.raises(UnicodeEncodeError):
            store.log("a").append("x", [{"text": "half a pair \ud83d"}])
        store.log("a").append("x", [{"text": "line\nbreaks \r\u2028 and ☃"}])
    with Store.open(tmp_path, LAZY) as store:
        assert store.log("a").rows == {"x": [{"text": "line\nbreaks \r\u2028 and ☃"}]}


@pytest.mark.parametrize("name", ["journal", "journal.copy"])
def test_each_damaged_line_of_the_journal_is_named_and_restored_from_the_copy(run: Path, name: str) -> None:
    whole = tree(run)
    for line in range(1, len(Store.read(run).journal) + 1):
        damage(run / name, line)
        (found,) = check(run, OPTIONS.unmanaged)
        last_of_copy = name == "journal.copy" and line == len(split((run / name).read_bytes()))
        assert (found.file, found.is_damage) == (name, not last_of_copy) and f"line {line} " in found.problem
        if not last_of_copy:  # which looks like a kill between the two copies, and is mended by any resume
            with pytest.raises(RunError, match=rf"{name}: line {line} is damaged.*\n.*\n.*--repair repairs it"):
                Store.open(run, OPTIONS)
        repair(run, OPTIONS.unmanaged)
        assert {path: data for path, data in tree(run).items() if not path.startswith("quarantine")} == whole


def test_an_entry_lost_in_both_copies_costs_its_step_only(run: Path) -> None:
    for name in ("journal", "journal.copy"):
        damage(run / name, 2)
    assert any("lost in both" in one.remedy for one in check(run, OPTIONS.unmanaged))
    repair(run, OPTIONS.unmanaged)
    kept = Store.read(run)
    assert kept.finished("round-0001/samples") is None and kept.finished("round-0003/line") is not None
    assert list(run.glob("quarantine/*/samples/round-0001.parquet"))
    play(run, SCRIPT, lambda note: None)
    assert Store.read(run).finished("round-0001/samples") and check(run, OPTIONS.unmanaged) == []


def test_a_run_whose_first_entry_is_lost_cannot_be_repaired(run: Path) -> None:
    for name in ("journal", "journal.copy"):
        damage(run / name, 1)
    with pytest.raises(RunError, match=r"line 1 is damaged in journal and in journal\.copy"):
        repair(run)


def test_a_torn_line_of_the_journal_has_not_happened(run: Path) -> None:
    whole = tree(run)
    with (run / "journal").open("ab") as journal:
        journal.write(encode({"number": 99})[:30])
    assert [one.is_damage for one in check(run, OPTIONS.unmanaged)] == [False]
    Store.open(run, OPTIONS).close()
    assert tree(run) == whole


def test_a_journal_cut_at_a_line_s_end_is_damage(run: Path) -> None:
    lines = (run / "journal").read_bytes().splitlines(keepends=True)
    (run / "journal").write_bytes(b"".join(lines[:-1]))
    with pytest.raises(RunError, match=f"journal: line {len(lines)} is damaged"):
        Store.open(run)


def test_unknown_files_are_quarantined_and_unmanaged_ones_stay(run: Path) -> None:
    for name in ("log.txt", "notes.txt", "samples/mine.parquet", "logs/notes", "extra/deep/file"):
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_text(name)
    (run / "link").symlink_to("/etc")
    gone = ["extra", "link", "logs/notes", "notes.txt", "samples/mine.parquet"]
    assert [one.file for one in check(run, OPTIONS.unmanaged)] == gone
    with Store.open(run, OPTIONS) as store:
        assert store.quarantined == [f"quarantine/1/{path}" for path in gone]
    assert (run / "quarantine/1/extra/deep/file").read_text() == "extra/deep/file"
    assert (run / "log.txt").exists() and check(run, OPTIONS.unmanaged) == []
    (run / "notes.txt").write_text("again")
    with Store.open(run, OPTIONS) as store:
        assert store.quarantined == ["quarantine/2/notes.txt"]


def test_an_unknown_file_in_a_file_s_place_is_quarantined(tmp_path: Path) -> None:
    with Store.create(tmp_path, {}, LAZY) as store:
        (tmp_path / "a.txt").write_text("a stranger")
        store.partial("a.txt").write_text("ours")
        store.commit("a", ["a.txt"])
    assert (tmp_path / "a.txt").read_text() == "ours"
    assert (tmp_path / "quarantine/1/a.txt").read_text() == "a stranger"


def test_another_size_is_refused_when_opened_and_another_content_when_verified(run: Path) -> None:
    place = run / "samples/round-0001.parquet"
    data = place.read_bytes()
    place.write_bytes(data[:-1])
    with pytest.raises(RunError, match=r"round-0001.parquet has [\d,]+ bytes instead of [\d,]+"):
        Store.open(run, OPTIONS)
    place.write_bytes(data[:-1] + b"!")
    with Store.open(run, OPTIONS) as store, pytest.raises(RunError, match="another content than the journal says"):
        store.verify("round-0001/samples")
    (run / "weights/round-0003/model.bin").write_bytes(b"")
    with pytest.raises(RunError, match=r"model\.bin has 0 bytes"):
        Store.read(run).verify("round-0003/weights")


def test_a_damaged_step_is_quarantined_and_can_be_done_again(run: Path) -> None:
    whole = tree(run)
    damage_at = run / "weights/round-0003/model.bin"
    damage_at.write_bytes(b"!" + damage_at.read_bytes()[1:])
    (found,) = repair(run, OPTIONS.unmanaged)
    assert "step 'round-0003/weights' is done again" in found.remedy
    assert (run / "quarantine/1/weights/round-0003/nested/config.json").exists()
    play(run, SCRIPT, lambda note: None)
    assert all(tree(run)[path] == data for path, data in whole.items() if not path.startswith("journal"))


def test_dropped_files_are_removed_and_their_step_stays_finished(run: Path) -> None:
    store = Store.read(run)
    assert store.finished("round-0001/weights") and not (run / "weights/round-0001").exists()
    assert "weights/round-0001/model.bin" not in store.files


def test_a_dropped_folder_is_gone_with_the_folders_in_it_that_hold_nothing(tmp_path: Path) -> None:
    with Store.create(tmp_path, {}, LAZY) as store:
        folder = store.partial("a/b")
        (folder / "empty").mkdir(parents=True)
        (folder / "file").write_text("b")
        store.commit("b", ["a/b"])
        store.drop("b")
        assert not (tmp_path / "a").exists()


def test_a_folder_can_be_moved(run: Path, tmp_path: Path) -> None:
    shutil.move(run, tmp_path / "elsewhere")
    with Store.open(tmp_path / "elsewhere", OPTIONS) as store:
        assert store.verify("round-0003/weights") and store.verify("round-0001/samples")


def test_a_step_is_finished_once_and_keeps_to_its_folder(tmp_path: Path) -> None:
    with Store.create(tmp_path, {}, LAZY) as store:
        store.partial("b").write_text("b")
        store.commit("a", ["b"])
        with pytest.raises(ValueError, match="already finished"):
            store.commit("a")
        for path in ("../x", "/x", "journal", "logs/x", "b", ""):
            with pytest.raises(ValueError, match="outside the folder, the store's own, or another step's"):
                store.commit("c", [path])
        store.partial("link").symlink_to("/etc/passwd")
        for path in ("link", "missing"):
            with pytest.raises(ValueError, match="not a file or folder"):
                store.commit("c", [path])


def test_a_journal_from_elsewhere_cannot_point_outside(tmp_path: Path) -> None:
    Store.create(tmp_path, {}).close()
    chain = build_chain([Entry("create", ""), Entry("commit", "a", files={"../../etc/passwd": Fingerprint(1, "")})])
    for name in ("journal", "journal.copy"):
        (tmp_path / name).write_bytes(b"".join(chain.lines))
    with pytest.raises(RunError, match="line 2 is damaged"):
        Store.open(tmp_path)


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    Store.create(tmp_path, {}).close()
    first = encode({"kind": "create", "step": "", "number": 0, "previous": "", "schema": 2})
    for name in ("journal", "journal.copy"):
        (tmp_path / name).write_bytes(first)
    for reading in (Store.open, Store.read, check, repair):
        with pytest.raises(RunError, match=r"schema 2\n.*schema 1\nuse the selftrain that wrote it"):
            reading(tmp_path)


def test_a_run_is_created_in_an_empty_folder_and_opened_where_there_is_one(tmp_path: Path) -> None:
    assert not holds_run(tmp_path / "none")
    for reading in (Store.open, Store.read, check, repair):
        with pytest.raises(RunError, match="holds no run"):
            reading(tmp_path / "none")
    assert not (tmp_path / "none").exists()
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/file").write_text("")
    with pytest.raises(RunError, match="is not empty\nit holds file\n"):
        Store.create(tmp_path / "taken", {})
    Store.create(tmp_path / "run", {}).close()
    with pytest.raises(RunError, match="is not empty\nit holds a run\n"):
        Store.create(tmp_path / "run", {})


def test_it_loads_nothing_heavy() -> None:
    heavy = "{'numpy', 'pyarrow', 'pandas', 'torch'} & {name.split('.')[0] for name in sys.modules}"
    command = f"import sys, selftrain.storage.journal; sys.exit(len({heavy}))"
    assert subprocess.run([sys.executable, "-c", command], cwd=Path(__file__).parents[3]).returncode == 0


def _append_10_000(folder: Path) -> float:
    with Store.create(folder, {}) as store:
        log, began = store.log("a"), time.monotonic()
        for item in range(10_000):
            log.append(str(item), [{"id": str(item), "index": 0, "reward": 1.0}])
        log.flush()
        return time.monotonic() - began


def test_many_small_items_cause_few_syncs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    syncs, real = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: syncs.append(real(descriptor)))
    seconds = _append_10_000(tmp_path)
    assert len(syncs) < 20 + 2 * seconds


@pytest.mark.slow
def test_10_000_items_take_less_than_2_seconds(tmp_path: Path) -> None:
    seconds = min(_append_10_000(tmp_path / str(number)) for number in range(3))
    print(f"{10_000 / seconds:,.0f} items a second")
    assert seconds < 2
