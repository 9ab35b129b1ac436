"""Whole runs on a cluster, as a user starts, kills and resumes them."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from selftrain.models.seeds import seed_model
from tests.end_to_end.test_resume import run, same, start
from tests.torture.runs import outcome

pytestmark = pytest.mark.slow

RUN = ["rest-em", "--model_name_or_path", seed_model("llama"), "--dataset_name", "word_problems", "--num_rounds", "2",
       "--num_generations", "4", "--validation_size", "8", "--max_train_samples", "40", "--max_eval_samples", "16",
       "--num_generations_eval", "1", "--max_completion_length", "48", "--learning_rate", "1e-4",
       "--sampling_batch_size", "8", "--checkpoint_minutes", "0", "--output_dir", "run"]  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The outcome without a cluster."""
    place = tmp_path_factory.mktemp("whole")
    run(*RUN[:-1], str(place / "run"))
    return outcome(place / "run")


def on_ray(cluster: Any) -> list[str]:
    return ["--ray", "--ray_address", cluster.address]


def sampled(folder: Path, process: Any) -> None:
    """Waits until a first batch of round 1 is on the disk."""
    for _ in range(6000):
        logs = [one for one in folder.glob("logs/round-0001*") if one.exists()]
        if any(one.read_bytes().count(b"\n") > 1 for one in logs):
            return
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)
    raise AssertionError("nothing was ever sampled")


def all_let_go(cpus: float) -> bool:
    import ray

    for _ in range(600):
        if ray.available_resources().get("CPU", 0) >= cpus:
            return True
        time.sleep(0.1)
    return False


def test_a_run_on_two_nodes_gives_the_same_bytes(
    here: Path, cluster: Any, two_nodes: list[Any], whole: dict[str, bytes]
) -> None:
    out, err = run(*RUN, *on_ray(cluster), "--json")
    assert json.loads(out)["output_dir"] == "run"  # Ray says nothing in between
    same(here / "run", whole)
    (line,) = [one for one in err.splitlines() if "workers did" in one]
    assert int(line.split("did ")[1].split()[0].replace(",", "")) > 20
    assert all_let_go(2)


def test_a_run_that_is_stopped_killed_and_resumed_elsewhere_gives_the_same_bytes(
    here: Path, cluster: Any, two_nodes: list[Any], whole: dict[str, bytes]
) -> None:
    process = start(*RUN, *on_ray(cluster))
    sampled(here / "run", process)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=400)
    assert process.returncode == 75 and "Traceback" not in err
    assert all_let_go(2)
    process = start("resume", "run")
    sampled(here / "run", process)
    time.sleep(8)
    process.kill()
    process.communicate()
    assert all_let_go(2)
    cluster.remove_node(two_nodes.pop())
    run("resume", "run", "--set", "ray=false")
    same(here / "run", whole)
