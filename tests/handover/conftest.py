"""Finished runs, which all tests only read."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict

import pytest

from selftrain.engines.toy import ToyEngine
from selftrain.evaluation import EvalConfig
from selftrain.loop.learner import Learner
from selftrain.loop.round_loop import RoundLoop
from selftrain.methods import RestEM
from selftrain.models.prompts import PromptConfig
from selftrain.models.rendering import Renderer
from selftrain.models.seeds import seed_model
from selftrain.models.toy import ToyModel
from selftrain.storage import Record, RunFolder
from selftrain.training.toy import ToyTrainer
from tests.models.tokenizers import CHATML
from tests.toys import grade, graders_of, run_toys, toy, toy_run

METHOD = RestEM(num_rounds=2, num_generations=4)
GRADED = {
    "graders": graders_of(grade, grade, grade, labelled=True), "evaluation": EvalConfig(num_generations_eval=2)
}  # fmt: skip


@pytest.fixture(scope="session")
def done(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    base = tmp_path_factory.mktemp("graded") / "base"
    ToyModel().save(base)
    run_toys(base.parent / "run", METHOD, [toy(base=str(base))], **GRADED)
    return RunFolder(base.parent / "run")


class ChatToy(ToyEngine):
    """The toy, asked through a model's chat template."""

    def __init__(self, model: ToyModel, renderer: Renderer) -> None:
        super().__init__(model)
        self.prompt_text = renderer.text  # type: ignore[method-assign]


@pytest.fixture(scope="session")
def chat(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run whose prompts were turns of a chat, with a system message."""
    from transformers import AutoTokenizer

    base = tmp_path_factory.mktemp("chat") / "model"
    shutil.copytree(seed_model("llama"), base)
    told = json.loads((base / "tokenizer_config.json").read_text())
    (base / "tokenizer_config.json").write_text(json.dumps(told | {"chat_template": CHATML}))
    ToyModel().save(base)
    config, model = PromptConfig(instruction="Add up."), ToyModel()
    learner = Learner(
        ChatToy(model, Renderer(AutoTokenizer.from_pretrained(base), config)), ToyTrainer(model), str(base)
    )
    record = Record.create(base.parent / "run", {"settings": asdict(config)})
    record.describe({"environment.json": json.dumps({"models": {"toy": str(base)}})})
    RoundLoop(toy_run(base.parent / "unused", METHOD, [learner], record=record, **GRADED)).run()
    return record.folder
