"""Model folders: a broken one is refused in one clear message, never loaded with made-up weights, never run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from selftrain.errors import ModelError
from selftrain.models.loading import load_model, model_size
from selftrain.models.seeds import SEED_MODELS, seed_model
from tests.models.broken_folders import BROKEN, WEIGHTS, broken_folder, tensors

#: The others are tried with the slow tests.
QUICK = 5


@pytest.mark.parametrize(
    "name", [pytest.param(one, marks=[pytest.mark.slow] * bool(i % QUICK)) for i, one in enumerate(BROKEN)]
)
def test_a_broken_folder_is_refused(here: Path, name: str) -> None:
    folder = broken_folder(name, here / "broken")
    with pytest.raises(ModelError) as refused:
        load_model(str(folder), device="cpu")
    assert "broken" in str(refused.value) and refused.value.found and refused.value.do
    assert max(map(len, str(refused.value).splitlines())) < 600
    assert not (here / "PWNED").exists()


@pytest.mark.parametrize("name", ["config.json is a list", "model_type is 'nope'", "num_hidden_layers is 1000000"])
def test_parameters_of_a_broken_folder_are_not_counted(here: Path, name: str) -> None:
    with pytest.raises(ModelError):
        model_size(str(broken_folder(name, here / "broken")), "main")


@pytest.mark.parametrize("model", SEED_MODELS)
def test_a_sharded_model_is_the_same(here: Path, model: str) -> None:
    folder, whole = here / "sharded", load_model(seed_model(model), device="cpu")
    whole.model.save_pretrained(folder, max_shard_size="200KB")
    whole.tokenizer.save_pretrained(folder)
    assert len([*folder.glob("*.safetensors")]) > 1
    again = load_model(str(folder), device="cpu")
    assert (
        all(torch.equal(a, b) for a, b in zip(again.model.parameters(), whole.model.parameters(), strict=True))
        and again.stop_ids == whole.stop_ids
    )


def test_tensors_that_no_model_reads_do_no_harm(here: Path) -> None:
    """Such as those of a second head, or a table of frequencies of older versions."""
    folder = broken_folder("config.json is a list", here / "more")
    (folder / "config.json").write_text(Path(seed_model("llama"), "config.json").read_text())
    tensors(lambda found: found.update({"value_head.weight": torch.zeros(3)}))(folder)
    load_model(str(folder), device="cpu")


@pytest.mark.parametrize("how", ["no base", "not JSON", "no weights", "cut", "a matrix missing", "broken base"])
def test_a_broken_adapter_is_refused(here: Path, how: str) -> None:
    peft = pytest.importorskip("peft")
    loaded, folder = load_model(seed_model("llama"), device="cpu"), here / "adapter"
    loaded.model.add_adapter(peft.LoraConfig(target_modules=["q_proj"], task_type="CAUSAL_LM"), "default")
    loaded.model.save_pretrained(folder)
    loaded.tokenizer.save_pretrained(folder)
    file, weights = folder / "adapter_config.json", folder / "adapter_model.safetensors"
    settings = json.loads(file.read_text()) | {"base_model_name_or_path": str(seed_model("llama"))}
    file.write_text(json.dumps(settings))
    load_model(str(folder), device="cpu")
    if how == "no base":
        file.write_text(json.dumps(settings | {"base_model_name_or_path": None}))
    elif how == "not JSON":
        file.write_text("{")
    elif how == "no weights":
        weights.unlink()
    elif how == "cut":
        weights.write_bytes(weights.read_bytes()[:-9])
    elif how == "a matrix missing":
        save_file(dict([*load_file(weights).items()][1:]), weights)
    else:
        base = broken_folder(f"{WEIGHTS} is cut", here / "base")
        file.write_text(json.dumps(settings | {"base_model_name_or_path": str(base)}))
    with pytest.raises(ModelError):
        load_model(str(folder), device="cpu")
