"""The README's block in a real notebook: nothing red, progress in place, and it can be run again."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
#: Smaller, so that it takes seconds.
SMALLER = {"max_train_samples=300": "max_train_samples=40", "max_eval_samples=150": "max_eval_samples=20"}

#: What it shows is not ours.
LOADED = """
import transformers

path = selftrain.seed_model("llama")
model = transformers.AutoModelForCausalLM.from_pretrained(path)
tokenizer = transformers.AutoTokenizer.from_pretrained(path)
"""
CALLBACKS = """
class Rounds(selftrain.Callback):
    def on_round_end(self, record):
        print("round", record.round, "is over")

selftrain.SelfTrainer(
    method=selftrain.SePT(num_rounds=1, problems_per_round=8, max_completion_length=16),
    model=model,
    processing_class=tokenizer,
    train_dataset="word_problems",
    data=selftrain.DataConfig(max_train_samples=40, max_eval_samples=8),
    training=selftrain.SePTTrainingConfig(validation_size=8),
    output_dir="runs/loaded",
    callbacks=[Rounds()],
).train(resume=True)
"""


def readme_block() -> str:
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    for large, small in SMALLER.items():
        assert large in block
        block = block.replace(large, small)
    return str(block)


def texts(cell: Any, name: str) -> str:
    return "".join(one["text"] for one in cell.outputs if one.output_type == "stream" and one.name == name)


@pytest.mark.slow
def test_the_readme_runs_twice_in_a_notebook(tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat", reason="no notebooks here: pip install nbclient ipykernel")
    nbclient = pytest.importorskip("nbclient", reason="no notebooks here: pip install nbclient ipykernel")
    pytest.importorskip("ipykernel", reason="no notebooks here: pip install nbclient ipykernel")
    book = nbformat.v4.new_notebook()
    cells = [readme_block(), readme_block(), "result", LOADED, CALLBACKS]
    book.cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
    nbclient.NotebookClient(book, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    nbformat.write(book, tmp_path / "executed.ipynb")
    first, again, shown, theirs, loaded = book.cells
    assert not [one for one in theirs.outputs if one.output_type == "error"]
    for cell in (first, again, shown, loaded):
        assert texts(cell, "stderr") == ""
        assert not [one for one in cell.outputs if one.output_type not in ("stream", "execute_result")]
    out = texts(first, "stdout")
    # One line that is written over, which ends with the lines that stay.
    line = "round 0: evaluating llama: "
    assert re.search(rf"[\r\n]{line}[^\n]*, round 0 of 1, [^\n]*\r *\r{line}", out)
    assert "\x1b" not in out and re.search(r"\n  A: [^\n]*\[[^\n]*, (kept|dropped as \w+)\]\n", out)
    report = f"\nreport: {Path('runs/readme/report.html')}\n"
    assert "left\r" in out and "…\r" not in out
    assert report in out and out.rstrip().endswith("runs/readme/best") and report in texts(again, "stdout")
    (page,) = shown.outputs
    assert "<pre>" in page["data"]["text/html"] and "best" in page["data"]["text/plain"]
    assert "round 0 is over" in texts(loaded, "stdout") and "round 1 is over" in texts(loaded, "stdout")
    assert (tmp_path / "runs/readme/best/model.safetensors").is_file()
