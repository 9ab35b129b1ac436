"""Runs and evaluations whose answers come from a server, as a user sees them: real processes, killed for real."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from selftrain.engines.server.engine import RESPONSES_PER_BATCH
from selftrain.models.loading import load_model
from selftrain.models.seeds import seed_model
from selftrain.storage import RunFolder
from selftrain.types import Prompt, SamplingParams
from tests.conftest import engine_of, generate
from tests.engines.server.serving import serving

PROGRAM = Path(__file__).parents[1] / "engines" / "server" / "openai_server.py"
KEY = "sk-never-to-be-seen"
LENGTH = 56
SETTINGS = ["--dataset_name", "word_problems", "--num_rounds", "1", "--num_generations", "4", "--validation_size", "16",
            "--max_train_samples", "136", "--max_eval_samples", "80", "--num_generations_eval", "1",
            "--max_completion_length", str(LENGTH), "--learning_rate", "5e-4", "--num_train_epochs", "3",
            "--early_stopping", "off", "--stop_at_cap", "false"]  # fmt: skip
RUN = ["rest-em", "--model_name_or_path", seed_model("llama"), *SETTINGS]
CONCURRENCY = 32


def start(*words: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "selftrain", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "SERVED_KEY": KEY, "THE_KEY": KEY} | environment,
    )  # fmt: skip


def run(*words: str, code: int = 0, **environment: str) -> tuple[str, str]:
    process = start(*words, **environment)
    out, err = process.communicate(timeout=1500)
    assert process.returncode == code, err
    assert "Traceback" not in err and KEY not in out + err
    return out, err


def served_by(journal: Path, faults: Path | None = None) -> list[str]:
    words = [sys.executable, str(PROGRAM), "--model", "{model}", "--port", "{port}", "--journal", str(journal)]
    if faults is not None:
        words += ["--faults", str(faults)]
    return ["--engine", "openai", "--server_command", shlex.join(words), "--api_key_env", "THE_KEY",
            "--max_concurrency", str(CONCURRENCY), "--max_retries", "1"]  # fmt: skip


def lines(journal: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in journal.read_text().splitlines()]


@dataclass(frozen=True)
class Finished:
    folder: Path
    told: dict[str, Any]
    journal: list[dict[str, Any]]
    said: str
    #: What servers wrote for themselves.
    scratch: Path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A run whose server breaks for good while it is asked for samples, and that is then gone on with."""
    place = tmp_path_factory.mktemp("server")
    journal, faults, scratch, folder = place / "asked", place / "faults", place / "scratch", place / "run"
    scratch.mkdir()
    # 1 question tries the server, 80 + 80 measure round 0 and 16 or more look at D_val: then samples are drawn.
    faults.write_text("- " * 280 + "500...")
    words = [*RUN, *served_by(journal, faults), "--output_dir", str(folder)]
    _, err = run(*words, code=74, TMPDIR=str(scratch))
    assert "gave no reply in 2 tries; the last one: 500" in err and "selftrain resume" in err
    faults.write_text("")
    out, more = run("resume", str(folder), "--json", TMPDIR=str(scratch))
    return Finished(folder, json.loads(out), lines(journal), err + out + more, scratch)


@pytest.mark.slow
def test_a_run_that_a_server_failed_goes_on_and_asks_nothing_again_that_was_recorded(finished: Finished) -> None:
    answered = [one["body"] for one in finished.journal if not one["fault"]]
    drawn = Counter(json.dumps(body) for body in answered if body["temperature"] == 0.7)
    # 4 answers to each of 120 problems; those in flight when the server broke are all that is asked again.
    assert len(drawn) == 480 and sum(drawn.values()) - 480 <= 2 * CONCURRENCY + RESPONSES_PER_BATCH
    # Evaluations are asked of the weights of both rounds, and of none twice.
    assert max(Counter(json.dumps(body) for body in answered).values()) == 2
    assert "every file is intact" in run("check", str(finished.folder))[0]


@pytest.mark.slow
def test_after_training_a_server_of_the_new_weights_answers(finished: Finished) -> None:
    """Round by round the texts and tokens that the weights of the round give in this process."""
    told = {}
    for number, weights in enumerate([Path(seed_model("llama")), finished.folder / "weights" / "round-0001"]):
        rows = RunFolder(finished.folder).query(
            "select problem_id, question, completion, token_ids, logprob, weights_version, prompt from evaluations "
            f"where round = {number} and greedy order by problem_id limit 40"
        ).fetchall()  # fmt: skip
        asked = [Prompt(row[0], row[1]) for row in rows]
        engine = engine_of(load_model(str(weights), device="cpu"))
        expected = generate(engine, asked, 1, SamplingParams(0.0, max_completion_length=LENGTH))
        assert len(rows) == 40 and {row[5] for row in rows} == {number}
        assert [(row[2], tuple(row[3]), row[6]) for row in rows] == [
            (one.text, one.token_ids, one.prompt_text) for one in expected
        ]
        assert [row[4] for row in rows] == pytest.approx([one.logprob for one in expected], abs=1e-3)
        told[number] = [row[2] for row in rows]
    assert told[0] != told[1]
    assert len({one["model"] for one in finished.journal}) >= 2


@pytest.mark.slow
def test_the_key_is_in_no_file_of_the_run_and_nothing_of_a_server_is_left(finished: Finished) -> None:
    assert {one["key"] for one in finished.journal} == {f"Bearer {KEY}"}
    files = [one for one in finished.folder.rglob("*") if one.is_file()]
    assert files and not any(KEY.encode() in one.read_bytes() for one in files)
    assert "api_key_env: THE_KEY" in (finished.folder / "settings.yaml").read_text()
    assert json.loads((finished.folder / "environment.json").read_text())["engines"] == {
        "llama": "servers that the run starts for its weights"
    }
    assert list(finished.scratch.glob("selftrain-server-*")) == []
    assert not any(Path(f"/proc/{one['pid']}").exists() for one in finished.journal)


@pytest.mark.slow
def test_it_gains_what_a_run_gains_that_answers_itself(finished: Finished, here: Path) -> None:
    out, _ = run(*RUN, "--engine", "transformers", "--output_dir", "own", "--json")
    own, served = json.loads(out), finished.told
    before, after = ([told["rounds"][number]["metrics"]["greedy"] for told in (own, served)] for number in (0, 1))
    assert before[0] == before[1]
    # Other draws, so another model: each gains, and each lies within the other's interval.
    assert min(one["value"] for one in after) > before[0]["value"] + 0.05
    assert after[0]["low"] <= after[1]["value"] <= after[0]["high"]
    assert after[1]["low"] <= after[0]["value"] <= after[1]["high"]


@pytest.mark.slow
def test_a_killed_run_leaves_no_server_behind(here: Path) -> None:
    journal = here / "asked"
    process = start(*RUN, *served_by(journal), "--output_dir", "run", TMPDIR=str(here))
    try:
        for _ in range(3000):
            if journal.exists() and len(lines(journal)) > 10:
                break
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.1)
        server = lines(journal)[0]["pid"]
        assert Path(f"/proc/{server}").exists() and [*here.glob("selftrain-server-*")]
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    for _ in range(600):
        if not Path(f"/proc/{server}").exists() and not [*here.glob("selftrain-server-*")]:
            return
        time.sleep(0.1)
    raise AssertionError("it is still there")


@pytest.mark.slow
def test_a_server_that_runs_already_is_evaluated_and_not_trained(here: Path) -> None:
    words = ["--dataset_name", "word_problems", "--max_eval_samples", "24", "--max_completion_length", "40"]
    asked = ["eval", "--model_name_or_path", seed_model("llama"), *words, "--num_generations_eval", "2", "--json"]
    with serving("--key", KEY) as state:
        here_is = ["--engine", "openai", "--base_url", state.url, "--api_key_env", "THE_KEY"]
        (found,) = json.loads(run(*asked, *here_is)[0])["rounds"]
        assert len(state.asked) == 1 + 24 * 3
        _, err = run(*asked, *here_is, "--baseline", seed_model("qwen2"), code=64)
        assert "holds one set of weights" in err
        _, err = run(*RUN, *here_is, "--output_dir", "run", code=64)
        assert "holds one set of weights" in err and "--server_command 'vllm serve" in err
        assert not (here / "run").exists() and len(state.asked) == 1 + 24 * 3
    (expected,) = json.loads(run(*asked, "--engine", "transformers")[0])["rounds"]
    assert found["metrics"]["greedy"] == expected["metrics"]["greedy"]
