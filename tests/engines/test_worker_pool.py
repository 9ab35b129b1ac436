"""Several processes answer what one would have answered, whatever becomes of them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import asdict

import pytest
import torch

from selftrain.engines.packed import WorkerPool
from selftrain.engines.packed import worker_pool as workers
from selftrain.engines.packed.architecture import read_architecture
from selftrain.engines.packed.engine import PackedEngine
from selftrain.models.loading import LoadedModel, load_model
from selftrain.models.prompts import PromptConfig
from selftrain.models.seeds import seed_model
from selftrain.types import Prompt, Response, SamplingParams
from tests.conftest import engine_of

SAMPLING = SamplingParams(0.8, 40, max_completion_length=48)


class Counting(PackedEngine):
    """Counts the units that this process answers."""

    answered = 0

    def generate(self, *arguments, **named):
        self.answered += 1
        return super().generate(*arguments, **named)


LOADING = {
    "model": seed_model("llama"), "revision": "main",
    "prompt_config": asdict(PromptConfig()), "rows": 64, "bf16": False,
    "name": "seed",
}  # fmt: skip


@pytest.fixture(scope="module")
def shared() -> Iterator[Counting]:
    """With one helper, which is ready."""
    loaded = load_model(seed_model("llama"), device="cpu")
    engine = Counting(engine_of(loaded), read_architecture(loaded.model), WorkerPool(LOADING, 1))
    assert engine._workers is not None
    engine._workers._alone = 2 * workers.ALONE  # as if it had answered for so long
    for _ in range(3000):
        if engine._workers.ready():
            break
        time.sleep(0.1)
    assert engine._workers.ready()
    yield engine
    engine.close()


def helper_of(engine: PackedEngine) -> workers.WorkerProcess:
    assert engine._workers is not None and engine._workers._workers
    return engine._workers._workers[0]


def both(engine: Counting, prompts: list[Prompt], first: int = 0) -> tuple[list[list[Response]], list[list[Response]]]:
    units = [prompts[start : start + 3] for start in range(0, len(prompts), 3)]
    together = list(engine.generate_units(units, 4, SAMPLING, "key", 2, first))
    alone = PackedEngine(engine.slow, engine.architecture)
    return together, list(alone.generate_units(units, 4, SAMPLING, "key", 2, first))


def test_two_processes_answer_what_one_answers_and_see_every_change_of_the_weights(
    shared: Counting, prompts: list[Prompt]
) -> None:
    few_shot = [Prompt("shown", "How many?", few_shot=(("1+1?", "#### 2"),), peer_answers=("It is 3.",)), *prompts]
    together, alone = both(shared, few_shot)
    assert together == alone
    assert 0 < shared.answered < len(together)  # so the helper had its share
    with torch.no_grad():
        shared.slow.model.model.layers[0].self_attn.q_proj.weight.mul_(1.3)
    changed, alone = both(shared, prompts, first=7)
    assert changed == alone and changed[0] != together[0]
    assert [one.sample_index for one in changed[0][:4]] == [7, 8, 9, 10]


@pytest.mark.slow
def test_who_stops_asking_leaves_helpers_that_answer_the_next_question(shared: Counting, prompts: list[Prompt]) -> None:
    units = [[prompt] for prompt in prompts]
    drawn = shared.generate_units(units, 4, SAMPLING, "key", 0)
    next(drawn)
    drawn.close()
    together, alone = both(shared, prompts)
    assert together == alone and helper_of(shared)._process.poll() is None


@pytest.mark.slow
def test_a_helper_that_is_killed_costs_nothing_but_its_help(shared: Counting, prompts: list[Prompt]) -> None:
    units = [prompts[start : start + 2] for start in range(0, len(prompts), 2)]
    found = []
    for number, responses in enumerate(shared.generate_units(units, 2, SAMPLING, "key", 0)):
        found.append(responses)
        if number == 1:
            os.kill(helper_of(shared)._process.pid, signal.SIGKILL)
    assert found == [PackedEngine.generate(shared, unit, 2, SAMPLING, "key", 0) for unit in units]
    assert list(shared.generate_units(units[:3], 2, SAMPLING, "key", 0)) == found[:3]


def test_a_closed_engine_leaves_no_process(llama: LoadedModel) -> None:
    engine = PackedEngine(engine_of(llama), read_architecture(llama.model), WorkerPool(LOADING, 1))
    assert engine._workers is not None
    engine._workers._alone = 2 * workers.ALONE
    engine._workers.ready()
    process = helper_of(engine)._process
    assert process.poll() is None
    engine.close()
    assert process.returncode is not None


def test_a_short_run_starts_no_process(llama: LoadedModel, prompts: list[Prompt]) -> None:
    engine = PackedEngine(engine_of(llama), read_architecture(llama.model), WorkerPool({}, 1))
    assert len(list(engine.generate_units([prompts[:2], prompts[2:4]], 2, SAMPLING, "key", 0))) == 2
    assert engine._workers is not None and engine._workers._workers is None
