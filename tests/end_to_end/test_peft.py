"""A run that trains adapters, as a user sees it."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from selftrain.seeds import seed_model
from tests.end_to_end.test_resume import run, same, start, wait_for
from tests.torture.runs import outcome

RUN = ["rest-em", "--model_name_or_path", seed_model("llama"), "--dataset_name", "word_problems", "--num_rounds", "2",
       "--num_generations", "6", "--validation_size", "24", "--max_train_samples", "320", "--max_eval_samples", "150",
       "--num_generations_eval", "2", "--max_completion_length", "64", "--num_train_epochs", "2",
       "--checkpoint_minutes", "0"]  # fmt: skip
LORA = ["--use_peft", "--lora_target_modules", "all-linear", "--learning_rate", "3e-3"]


@pytest.mark.slow
def test_adapters_lift_accuracy_and_a_killed_run_ends_with_the_same_bytes(here: Path) -> None:
    pytest.importorskip("peft", reason="adapters are trained through peft: pip install 'selftrain[peft]'")
    told = json.loads(run(*RUN, *LORA, "--output_dir", "whole", "--json")[0])
    figures = {line["round"]: line["metrics"]["pass@1"]["value"] for line in told["rounds"] if "metrics" in line}
    assert figures[2] > figures[0] + 0.03, figures
    saved = {file.name for file in (here / "whole" / "weights" / "round-0002").iterdir()}
    assert "adapter_model.safetensors" in saved and "model.safetensors" not in saved
    process = start(*RUN, *LORA, "--output_dir", "killed")
    wait_for(here / "killed" / "log.txt", "round 2: training", process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    run("resume", "killed")
    same(here / "killed", outcome(here / "whole"))
    _, err = run("resume", "killed", "--set", "lora_r=8", code=64)
    assert "lora_r may not change" in err
    # The best round is a model like any other.
    words = ["--dataset_name", "word_problems", "--max_eval_samples", "150", "--max_completion_length", "64"]
    asked = json.loads(run("eval", "--model_name_or_path", told["best"], *words, "--json")[0])
    greedy = next(line["metrics"]["greedy"]["value"] for line in told["rounds"] if line["round"] == told["best_round"])
    assert asked["rounds"][0]["metrics"]["greedy"]["value"] == pytest.approx(greedy, abs=0.02)


@pytest.mark.slow
def test_what_cannot_be_trained_is_refused_before_anything_is_made(here: Path) -> None:
    for words, code, part in (
        (["--load_in_4bit"], 64, "load_in_4bit is set without use_peft"),
        (["--use_peft", "--load_in_4bit", "--device", "cpu"], (64, 66), "load_in_4bit is set, and"),
        (["--use_peft", "--lora_target_modules", "nonsense"], 64, "lora_target_modules is"),
    ):
        process = start(*RUN, *words, "--output_dir", "refused")
        _, err = process.communicate(timeout=400)
        assert process.returncode in (code if isinstance(code, tuple) else (code,)), err
        assert part in err and "Traceback" not in err and not (here / "refused").exists()
