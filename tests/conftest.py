"""Shared by all tests: the shipped seed models, the real thing, loaded once.

Nothing heavy is imported at the top, for the process that only hands tests out to others.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Before what reads it once, when it is imported.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import pytest
from hypothesis import HealthCheck, settings

from selftrain.engines.request import GenerateRequest
from selftrain.models.prompts import PromptConfig, make_prompts
from selftrain.models.seeds import SEED_MODELS, seed_model
from selftrain.problems import load_problems
from selftrain.types import Prompt, Response, SamplingParams

if TYPE_CHECKING:
    from selftrain.engines.base import Engine
    from selftrain.engines.transformers import TransformersEngine
    from selftrain.models.loading import LoadedModel

# A machine that is busy with other work is no fault.
settings.register_profile("any_speed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any_speed")

_DATA = Path(os.environ.get("SELFTRAIN_DATA") or Path(__file__).parents[1].parent / "shared" / "data")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: many tests wait for a clock, a server or a process that was killed."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores + 1


# What is imported stays until the end, so that no collection of garbage need look at it.
gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_sessionfinish() -> None:
    gc.unfreeze()


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real data sets, each in the schema it was published in."""
    if not _DATA.is_dir():
        pytest.skip(f"no real data at {_DATA}; set SELFTRAIN_DATA to the folder that holds gsm8k/, multiarith/, ...")
    return _DATA


def engine_of(
    loaded: LoadedModel, name: str = "seed", batch_size: int = 64, prompt_config: PromptConfig | None = None
) -> TransformersEngine:
    from selftrain.engines.transformers import TransformersEngine
    from selftrain.models.rendering import Renderer

    renderer = Renderer(loaded.tokenizer, prompt_config or PromptConfig(), loaded.stop_ids)
    return TransformersEngine(loaded.model, renderer, name, batch_size=batch_size)


def generate(
    engine: Engine, prompts: Sequence[Prompt], n: int, params: SamplingParams, *, key: str = "k", **fields: Any
) -> list[Response]:
    """One batch; `fields` are further ones of the request."""
    return engine.generate(GenerateRequest(prompts, n, params, key, **fields))


def requests_of(
    batches: Sequence[Sequence[Prompt]], n: int, params: SamplingParams, *, key: str = "k", **fields: Any
) -> list[GenerateRequest]:
    return [GenerateRequest(batch, n, params, key, **fields) for batch in batches]


def load(name: str) -> LoadedModel:
    from selftrain.models.loading import load_model

    return load_model(seed_model(name), device="cpu")


@pytest.fixture(scope="session", params=SEED_MODELS)
def loaded(request: pytest.FixtureRequest) -> LoadedModel:
    """Each seed model in turn. Not to be trained: it is shared."""
    return load(request.param)


@pytest.fixture(scope="session")
def llama() -> LoadedModel:
    return load("llama")


@pytest.fixture
def trainable() -> LoadedModel:
    """A llama of its own for a test that changes weights."""
    return load("llama")


@pytest.fixture(scope="session")
def prompts() -> list[Prompt]:
    return make_prompts(load_problems("word_problems", split="test", max_problems=16))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
