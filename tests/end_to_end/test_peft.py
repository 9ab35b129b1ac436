"""A run that trains adapters, as a user sees it."""

from __future__ import annotations

import json
import signal
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.end_to_end.test_resume import RUN, run, same, start, wait_for
from tests.torture.runs import outcome

LORA = ["--use_peft", "--lora_target_modules", "all-linear", "--learning_rate", "3e-3"]
LARGER = ["--validation_size", "24", "--max_train_samples", "320", "--max_eval_samples", "150",
          "--num_generations", "6", "--num_generations_eval", "2", "--max_completion_length", "64",
          "--num_train_epochs", "2", "--sampling_batch_size", "128", "--checkpoint_minutes", "30"]  # fmt: skip


@pytest.mark.slow
def test_adapters_lift_accuracy_and_the_best_round_is_a_model_like_any_other(here: Path) -> None:
    pytest.importorskip("peft", reason="adapters are trained through peft: pip install 'selftrain[peft]'")
    told = json.loads(run(*RUN, *LARGER, *LORA, "--output_dir", "run", "--json")[0])
    figures = {line["round"]: line["metrics"]["pass@1"]["value"] for line in told["rounds"] if "metrics" in line}
    assert figures[2] > figures[0] + 0.03, figures
    words = ["--dataset_name", "word_problems", "--max_eval_samples", "150", "--max_completion_length", "64"]
    asked = json.loads(run("eval", "--model_name_or_path", told["best"], *words, "--json")[0])
    greedy = next(line["metrics"]["greedy"]["value"] for line in told["rounds"] if line["round"] == told["best_round"])
    assert asked["rounds"][0]["metrics"]["greedy"]["value"] == pytest.approx(greedy, abs=0.02)


@pytest.mark.slow
def test_a_killed_run_ends_with_the_same_bytes(here: Path) -> None:
    pytest.importorskip("peft", reason="adapters are trained through peft: pip install 'selftrain[peft]'")
    run(*RUN, *LORA, "--output_dir", "whole")
    saved = {file.name for file in (here / "whole" / "weights" / "round-0002").iterdir()}
    assert "adapter_model.safetensors" in saved and "model.safetensors" not in saved
    process = start(*RUN, *LORA, "--output_dir", "killed")
    wait_for(here / "killed" / "log.txt", "round 2: training", process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    _, err = run("resume", "killed", "--set", "lora_r=8", code=64)
    assert "lora_r may not change" in err
    run("resume", "killed")
    same(here / "killed", outcome(here / "whole"))


@pytest.mark.slow
def test_what_cannot_be_trained_is_refused_before_anything_is_made(here: Path) -> None:
    wrong = [
        (["--load_in_4bit"], "load_in_4bit is set without use_peft"),
        (["--use_peft", "--lora_r", "0"], "lora_r is 0"),
    ]
    if find_spec("peft"):
        wrong.append((["--use_peft", "--lora_target_modules", "nonsense"], "lora_target_modules is"))
    missing = [
        (words, f"{package} is not installed")
        for words, package in ((["--use_peft"], "peft"), (["--use_peft", "--load_in_4bit"], "bitsandbytes"))
        if find_spec(package) is None
    ]
    for words, part in wrong + missing:
        _, err = run(*RUN, *words, "--output_dir", "refused", code=64)
        assert part in err and not (here / "refused").exists()
