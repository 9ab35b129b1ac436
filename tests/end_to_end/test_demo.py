"""The demo, as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM

from selftrain.storage import RunFolder

DEMO = [sys.executable, "-m", "selftrain", "demo"]


def test_a_tiny_demo_ends_with_a_table_examples_and_a_page(here: Path) -> None:
    tiny = ["--num_rounds", "1", "--max_train_samples", "130", "--max_eval_samples", "20"]
    done = subprocess.run([*DEMO, *tiny], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    for part in ("base", "greedy", "pass@1", "before:", "after:", "runs/demo/report.html"):
        assert part in done.stdout
    assert "round 1: sampling" in done.stderr and "Traceback" not in done.stderr
    page = Path("runs/demo/report.html").read_text()
    assert "<svg" in page and "<script" not in page
    # One file that loads nothing.
    assert not any(f'{attribute}="http' in page for attribute in ("src", "href"))
    folder = RunFolder.open("runs/demo")
    assert AutoModelForCausalLM.from_pretrained(folder.path / "best") is not None


@pytest.mark.slow
def test_a_short_demo_beats_the_base_model(here: Path) -> None:
    short = ["--num_rounds", "1", "--max_train_samples", "300", "--max_eval_samples", "100"]
    subprocess.run([*DEMO, *short], check=True, capture_output=True, timeout=600)
    gain = RunFolder.open("runs/demo").rounds()[1]["against_base"]["pass@1"]
    assert gain["difference"] > 0.1 and gain["p_value"] < 0.01


@pytest.mark.slow
def test_a_second_demo_goes_to_a_folder_of_its_own(here: Path) -> None:
    Path("runs/demo").mkdir(parents=True)
    Path("runs/demo/mine.txt").write_text("kept")
    tiny = ["--num_rounds", "1", "--max_train_samples", "130", "--max_eval_samples", "10", "--json"]
    done = subprocess.run([*DEMO, *tiny], capture_output=True, text=True, timeout=600, check=True)
    assert json.loads(done.stdout)["output_dir"] == "runs/demo-2"
    assert [one.name for one in Path("runs/demo").iterdir()] == ["mine.txt"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_last_round_beats_the_base_model(here: Path, seed: int) -> None:
    subprocess.run([*DEMO, "--seed", str(seed)], check=True, capture_output=True)
    gains = RunFolder.open("runs/demo").rounds()[-1]["against_base"]
    assert gains["greedy"]["problems"] == 600
    assert gains["greedy"]["difference"] >= 0.07 and gains["greedy"]["p_value"] < 0.001
    assert gains["pass@1"]["difference"] >= 0.20 and gains["pass@1"]["p_value"] < 0.001
