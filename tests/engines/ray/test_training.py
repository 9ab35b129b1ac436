"""Trainings that Ray Train shares over the nodes that sample, and what becomes of a run when these are lost."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from safetensors.torch import load_file

from tests.end_to_end.test_resume import run, start
from tests.engines.ray.conftest import add_node
from tests.engines.ray.test_runs import RUN, all_let_go, on_ray, sampled

pytestmark = pytest.mark.slow

#: Some dozens of steps a round, of several micro-batches each.
LONGER = (*RUN, "--train_batch_size", "4", "--max_tokens_per_batch", "100", "--num_train_epochs", "3")
ROUNDING = 1e-4


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run by one process of one machine."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    run(*LONGER[: len(RUN) - 1], str(folder), *LONGER[len(RUN) :])
    return folder


def rows(folder: Path) -> list[Any]:
    """What was sampled, graded and kept, in the order of the files: a row that is lost or doubled is seen."""
    columns = ["problem_id", "sample_index", "token_ids", "reward", "kept", "drop_reason"]
    tables = [*sorted(folder.glob("samples/*.parquet")), *sorted(folder.glob("evaluations/*.parquet"))]
    found = []
    for file in tables:
        table = pq.read_table(file)
        found += [
            (file.name, *row.values())
            for row in table.select([c for c in columns if c in table.column_names]).to_pylist()
        ]
    return found


def distance(one: Path, other: Path) -> float:
    """Between the weights of the last round."""
    ours, theirs = (load_file(folder / "weights" / "round-0002" / "model.safetensors") for folder in (one, other))
    assert ours.keys() == theirs.keys()
    return max((ours[name] - theirs[name]).abs().max().item() for name in ours)


def events(folder: Path) -> list[str]:
    return [line for file in folder.glob("partial/training/job-*/events") for line in file.read_text().splitlines()]


def trained(folder: Path, process: Any, steps: int) -> None:
    """Waits until a training has made so many steps."""
    for _ in range(12000):
        if sum(line.startswith('["step"') for line in events(folder)) >= steps:
            return
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)
    raise AssertionError("nothing was ever trained")


def test_a_run_that_loses_a_node_in_sampling_and_one_in_training_gives_what_one_process_would(
    here: Path, cluster: Any, two_nodes: list[Any], whole: Path
) -> None:
    process = start(*LONGER, *on_ray(cluster), "--training_processes", "2")
    sampled(here / "run", process)
    cluster.remove_node(two_nodes[0], allow_graceful=False)
    two_nodes[0] = add_node(cluster)
    trained(here / "run", process, 4)
    cluster.remove_node(two_nodes[1], allow_graceful=False)
    _, err = process.communicate(timeout=900)
    assert process.returncode == 0 and "Traceback" not in err, err
    assert "training processes were lost" in err
    assert "room for 1 of 2 training processes" in err
    assert rows(here / "run") == rows(whole)
    assert 0 < distance(here / "run", whole) < ROUNDING
    assert "every file is intact" in run("check", "run")[0]
    assert not (here / "run" / "partial").exists()
    assert all_let_go(1)


def test_a_run_killed_in_a_training_on_the_cluster_is_gone_on_with_by_one_process(
    here: Path, cluster: Any, two_nodes: list[Any], whole: Path
) -> None:
    process = start(*LONGER, *on_ray(cluster), "--training_processes", "2")
    trained(here / "run", process, 8)
    process.kill()
    process.communicate()
    saved = [json.loads(file.read_text()) for file in here.glob("run/checkpoint/*/training-*/trainer_state.json")]
    assert any(state["losses"] for state in saved)
    assert all_let_go(2)
    run("resume", "run", "--set", "ray=false", "training_processes=1")
    assert rows(here / "run") == rows(whole)
    assert distance(here / "run", whole) < ROUNDING


def test_a_node_that_does_not_see_the_run_s_folder_is_named_before_anything_is_sampled(
    here: Path, cluster: Any, two_nodes: list[Any]
) -> None:
    import ray

    if subprocess.run(["unshare", "--mount", "true"], check=False).returncode:
        pytest.skip("a folder that one node does not see needs the right to mount")
    node = f"{sys.executable} -m ray.scripts.scripts start --address {cluster.address} --num-cpus 1 --block"
    blinded = ["unshare", "--mount", "sh", "-c", f"mount -t tmpfs none {here} && exec {node}"]
    blind = subprocess.Popen(blinded)
    try:
        deadline = time.monotonic() + 300
        while ray.cluster_resources().get("CPU", 0) < 3:
            if blind.poll() is not None and time.monotonic() < deadline:
                blind = subprocess.Popen(blinded)  # Ray gives up soon on a busy machine
            assert time.monotonic() < deadline
            time.sleep(0.5)
        _, err = run(*RUN, *on_ray(cluster), "--training_processes", "2", code=64)
        assert "does not see the run's folder" in err and str(here / "run") in "".join(err.split())
        assert not list(here.glob("run/samples/*"))
    finally:
        blind.terminate()
        blind.wait()
