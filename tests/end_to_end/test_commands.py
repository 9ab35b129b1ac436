"""The methods without a reward, as a user runs them; and once more from the settings that a run wrote down."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from selftrain.models.seeds import seed_model
from selftrain.storage import RunFolder

SMALL = ["--dataset_name", "word_problems", "--num_rounds", "2", "--problems_per_round", "8", "--validation_size", "8",
         "--max_train_samples", "30", "--max_eval_samples", "8", "--num_generations_eval", "1",
         "--consensus_generations", "2", "--probe_generations", "1", "--max_completion_length", "24",
         "--learning_rate", "1e-4"]  # fmt: skip
MODELS = {
    "sept": ["--model_name_or_path", seed_model("llama")],
    "pst": [
        "--models",
        seed_model("llama"),
        seed_model("qwen2"),
        "--gv_gap_problems",
        "2",
        "--gv_gap_generations",
        "2",
    ],
}


def run(*words: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([sys.executable, "-m", "selftrain", *words], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.mark.slow
@pytest.mark.parametrize("method", ["sept", "pst"])
def test_a_method_runs_from_the_command_line_and_again_from_its_settings(here: Path, method: str) -> None:
    run(method, *MODELS[method], *SMALL, "--output_dir", "first")
    assert "<svg" in Path("first/report.html").read_text()
    told = json.loads(run(method, "--config", "first/settings.yaml", "--output_dir", "again", "--keep_weights", "best",
                          "--json").stdout)  # fmt: skip
    assert told["output_dir"] == "again"
    columns = "model, round, problem_id, sample_index, completion, token_ids, logprob, kept, drop_reason, weight, pmi"
    first, again = (
        RunFolder.open(name).query(f"select {columns} from samples order by all").fetchall()
        for name in ("first", "again")
    )
    assert first == again and {row[1] for row in first} == {1, 2}
    # The optimizer's moments serve a run that goes on from these weights, which this one does not keep.
    assert len([*Path("again/weights").iterdir()]) == 1 and not [*Path("again").rglob("checkpoint/*/*/*")]
    assert len([*Path("first").glob("checkpoint/*/state")]) == 1
