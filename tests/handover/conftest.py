"""Finished runs, which all tests only read."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest

from selftrain.evaluation import EvalConfig
from selftrain.handover.card import write_cards
from selftrain.loop.learner import Learner
from selftrain.loop.run_to_end import run_to_end
from selftrain.methods import RestEM
from selftrain.models.prompts import PromptConfig
from selftrain.models.rendering import Renderer
from selftrain.models.seeds import seed_model
from selftrain.storage import Record, RunFolder
from tests.models.tokenizers import CHATML
from tests.toys.engine import ToyEngine
from tests.toys.model import ToyModel
from tests.toys.runs import grade, graders_of, toy, toy_run
from tests.toys.trainer import ToyTrainer

METHOD = RestEM(num_rounds=2, num_generations=4)
#: As the command line records them, with paths of somebody's machine.
GIVEN = {
    "model_name_or_path": "/home/somebody/models/base", "dataset_name": "gsm8k",
    "output_dir": "/home/somebody/runs/first", "num_rounds": 2, "stop_strings": ["\n\n", "it's"], "base_url": "http://gpu7.example:8000/v1",
}  # fmt: skip


def finish(learner: Learner, folder: Path) -> RunFolder:
    """A run of two rounds by labels, with all that a run of the command line writes down."""
    settings = {**asdict(METHOD), **asdict(PromptConfig(instruction="Add up.")), "start_from": "base", **GIVEN}
    origins = {name: ["flag", f"--{name}"] if name in GIVEN else ["default", "ours"] for name in settings}
    record = Record.create(
        folder,
        {"command": "rest-em", "settings": settings, "origins": origins, "resumable": ["base_url", "output_dir"]},
    )
    sets = {part: {"name": f"gsm8k/{part}"} for part in ("train", "evaluation")}
    facts = {"models": {"toy": learner.base}, "packages": {"selftrain": "0.1.0"}, **sets}
    record.describe({"environment.json": json.dumps(facts), "settings.yaml": "num_rounds: 2\n"})
    run = toy_run(
        folder.parent / "unused", METHOD, [learner], record=record,
        graders=graders_of(grade, grade, grade, labelled=True), evaluation=EvalConfig(num_generations_eval=2),
    )  # fmt: skip
    with record:
        run_to_end(run, {"toy": learner.base})
        write_cards(record, pytest.fail)
    return record.folder


@pytest.fixture(scope="session")
def done(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    base = tmp_path_factory.mktemp("graded") / "base"
    ToyModel().save(base)
    return finish(toy(base=str(base)), base.parent / "run")


class ChatToy(ToyEngine):
    """The toy, asked through a model's chat template."""

    def __init__(self, model: ToyModel, renderer: Renderer) -> None:
        super().__init__(model)
        self.prompt_text = renderer.text  # type: ignore[method-assign]


@pytest.fixture(scope="session")
def chat(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run whose prompts were turns of a chat, with a system message."""
    from transformers import AutoTokenizer

    base, model = tmp_path_factory.mktemp("chat") / "model", ToyModel()
    shutil.copytree(seed_model("llama"), base)
    told = json.loads((base / "tokenizer_config.json").read_text())
    (base / "tokenizer_config.json").write_text(json.dumps(told | {"chat_template": CHATML}))
    model.save(base)
    renderer = Renderer(AutoTokenizer.from_pretrained(base), PromptConfig(instruction="Add up."))
    return finish(Learner(ChatToy(model, renderer), ToyTrainer(model), str(base)), base.parent / "run")
