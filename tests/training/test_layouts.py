"""The recipes' layouts: they fit by the plan's own figures, and a step of one of their processes, on tensors without
values and a group without other processes, has the shapes and names that it would have.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed.device_mesh import init_device_mesh
from torch.testing._internal.distributed.fake_pg import FakeStore
from transformers import AutoConfig, AutoModelForCausalLM

from selftrain.cli.commands.plan import parse_words
from selftrain.cli.plan import shape_of
from selftrain.engines.config import EngineConfig
from selftrain.errors import SettingsError
from selftrain.loop.plan import Scale
from selftrain.loop.plan.cost import check_fit
from selftrain.loop.plan.needs import Shards, gathered, model_needs
from selftrain.methods.sept import SePTTrainingConfig
from selftrain.models.adapter import AdapterConfig
from selftrain.models.loading import size_of
from selftrain.models.rendering import TokenizedExample
from selftrain.training import sharding, tensors
from selftrain.training.base import TrainingConfig
from selftrain.training.optimizer import make_optimizer

RECIPES = Path(__file__).parents[2] / "recipes"
#: From their configs: type, hidden size, that of the MLP, layers, heads, those of keys, size of a head, vocabulary.
SHAPES: dict[str, tuple[Any, ...]] = {
    "Qwen2.5-Math-7B": ("qwen2", 3584, 18944, 28, 28, 4, 128, 152064, False),
    "Qwen2.5-1.5B": ("qwen2", 1536, 8960, 28, 12, 2, 128, 151936, True),
    "gemma-2-2b-it": ("gemma2", 2304, 9216, 26, 8, 4, 256, 256000, True),
    "Llama-3.2-1B-Instruct": ("llama", 2048, 8192, 16, 32, 8, 64, 128256, True),
}
#: The GPUs that each recipe names, and the weights that its models have.
LAYOUTS = {
    "rest_em_math": ("rest-em", 1, (1.54e9,)),
    "rest_em_apps": ("rest-em", 1, (1.54e9,)),
    "sept_v1": ("sept", 4, (7.62e9,)),
    "sept_v2": ("sept", 4, (7.62e9,)),
    "pst": ("pst", 1, (2.61e9, 1.24e9, 1.54e9)),
}


@pytest.mark.parametrize("recipe", LAYOUTS)
def test_a_recipe_fits_on_the_gpus_that_it_names_and_on_no_fewer(recipe: str) -> None:
    method, gpus, params = LAYOUTS[recipe]
    settings = parse_words([method, "--config", str(RECIPES / f"{recipe}.yaml"), "--params", *map(str, params)])
    assert settings[EngineConfig].training_processes == gpus
    shape = shape_of(settings, problems=7500, eval_problems=500)
    for more in (gpus, 2 * gpus, 16):
        check_fit(shape, Scale(params=params, gpus=more))
    if gpus > 1:
        with pytest.raises(SettingsError, match="needs"):
            check_fit(shape, Scale(params=params, gpus=gpus // 2))


@pytest.fixture
def processes(request: pytest.FixtureRequest) -> Iterator[int]:
    """A group of so many, of which this process is the last."""
    number: int = request.param
    dist.init_process_group("fake", store=FakeStore(), rank=number - 1, world_size=number)
    yield number
    dist.destroy_process_group()


class Empty:
    """Stands for a file: tensors without values."""

    def __init__(self, like: torch.Tensor) -> None:
        self.like = like

    def get_tensor(self, name: str) -> torch.Tensor:
        return self.like.detach().clone()


def dry_run(name: str, processes: int, **changed: Any) -> None:
    kind, hidden, mlp, layers, heads, of_keys, of_head, vocabulary, tied = SHAPES[name]
    config = AutoConfig.for_model(
        kind, hidden_size=hidden, intermediate_size=mlp, num_hidden_layers=layers, num_attention_heads=heads,
        num_key_value_heads=of_keys, head_dim=of_head, vocab_size=vocabulary, tie_word_embeddings=tied,
    )  # fmt: skip
    config.update(changed)
    mesh = init_device_mesh("cpu", (processes,))
    with FakeTensorMode(allow_non_fake_inputs=True):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        size, names = size_of(model), [*model.state_dict()]
        shapes = {key: value.shape for key, value in model.named_parameters()}
        root = sharding.Root(model)
        files = {key: Empty(value) for key, value in [*model.named_parameters(), *model.named_buffers()]}
        sharding.shard(root, files, mesh, bf16=True, offload=False)
        gradients = sharding.ShardedGradients(root, TrainingConfig(gradient_checkpointing=True), 0, bf16=True)
        optimizer = make_optimizer(model)
        gradients._loss([TokenizedExample(tuple(range(16)), 4, 1.0)] * 2, 1.0).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        trained, state = tensors.trainable(model), tensors.optimizer_state(model, optimizer)
        # What checkpoints and `from_pretrained` know it by.
        assert [*model.state_dict()] == names and {key: value.shape for key, value in trained.items()} == shapes
        held = 0
        for key, weight in trained.items():
            parts = [weight, weight.grad, state[f"exp_avg/{key}"], state[f"exp_avg_sq/{key}"]]
            local = [one.to_local() for one in parts]
            rows = -(-shapes[key][0] // processes)
            assert all(one.shape[1:] == shapes[key][1:] and len(one) <= rows for one in local)
            assert {one.dtype for one in local} == {torch.float32}
            held += sum(one.numel() * 4 for one in local)
    (need,) = model_needs([size], SePTTrainingConfig(), AdapterConfig(), Shards(processes=processes))
    assert held + gathered(size, AdapterConfig()) == pytest.approx(need.peak, rel=0.01) or need.peak == 4 * size.weights


@pytest.mark.parametrize("processes", [8], indirect=True)
def test_a_step_of_sept_has_the_shapes_of_its_shards(processes: int) -> None:
    dry_run("Qwen2.5-Math-7B", processes, num_hidden_layers=1)


@pytest.mark.slow
@pytest.mark.parametrize("processes", [8, 16], indirect=True)
@pytest.mark.parametrize("name", SHAPES)
def test_a_step_of_each_recipes_model_has_the_shapes_of_its_shards(name: str, processes: int) -> None:
    dry_run(name, processes)
