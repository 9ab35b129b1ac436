"""Several models on several GPUs: the plan, held against simple sums, and turns that change nothing."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from selftrain.engines.config import EngineConfig
from selftrain.errors import ModelError, SettingsError
from selftrain.loop import model_factory
from selftrain.loop.progress import Progress
from selftrain.methods import PST
from selftrain.methods.pst import PSTEvalConfig, PSTTrainingConfig
from selftrain.models.loading import load_model, model_size
from selftrain.models.placement import USABLE, Device, DeviceSlot, MemoryNeed, Placement, place
from selftrain.models.seeds import SEED_MODELS, seed_model
from selftrain.problems import load_problems
from selftrain.storage import RunFolder
from selftrain.trainer import SelfTrainer

GIGA = 10**9
PAPER = {"gemma": 2_614_000_000, "llama": 1_236_000_000, "qwen": 1_544_000_000}


def needs_of(weights: dict[str, int]) -> dict[str, MemoryNeed]:
    return {name: MemoryNeed.of(count, count, keeps_moments=True) for name, count in weights.items()}


def devices(*gigabytes: float) -> list[Device]:
    return [Device(f"cuda:{number}", int(size * GIGA)) for number, size in enumerate(gigabytes)]


def test_a_trained_weight_takes_sixteen_bytes() -> None:
    assert MemoryNeed.of(100, 100, keeps_moments=True) == MemoryNeed(1200, 400)
    assert MemoryNeed.of(100, 100, keeps_moments=False) == MemoryNeed(400, 1200)
    assert MemoryNeed.of(100, 0, keeps_moments=True).peak == 400


def test_models_are_side_by_side_where_they_fit() -> None:
    # 5.4 billion weights of 12 bytes, and a gradient of the largest: 75 GB.
    placement = place(needs_of(PAPER), devices(100))
    assert list(placement.lines()) == ["cuda:0: gemma, llama, qwen side by side"]
    placement = place(needs_of(PAPER), devices(60, 60))
    assert placement.devices == {"gemma": "cuda:0", "llama": "cuda:1", "qwen": "cuda:1"} and not placement.offload
    placement = place(needs_of(PAPER), devices(60, 60, 60))
    assert sorted(placement.devices.values()) == ["cuda:0", "cuda:1", "cuda:2"]
    assert next(iter(placement.lines())) == "cuda:0: gemma"


def test_models_are_offloaded_where_they_do_not_fit() -> None:
    placement = place(needs_of(PAPER), devices(60))
    assert list(placement.lines()) == ["cuda:0: gemma, llama, qwen in turns (CPU offload)"]
    assert placement.slots["gemma"] is placement.slots["qwen"] and placement.slots["llama"].offload


def test_a_model_that_fits_nowhere_is_refused_with_the_sizes() -> None:
    with pytest.raises(SettingsError, match=r"gemma needs 41\.8 GB to train, cuda:1 has 50\.0 free"):
        place(needs_of(PAPER), devices(40, 50))


def test_no_device_holds_more_than_its_usable_memory() -> None:
    for seed in range(200):
        rng = random.Random(seed)
        needs = {
            f"m{i}": MemoryNeed(rng.uniform(1, 30) * GIGA, rng.uniform(0, 30) * GIGA) for i in range(rng.randint(1, 7))
        }
        given = devices(*(rng.choice([24, 40, 80, 141]) for _ in range(rng.randint(1, 4))))
        try:
            placement = place(needs, given)
        except SettingsError:
            assert max(one.peak for one in needs.values()) > max(one.usable for one in given), seed
            continue
        assert list(placement.devices) == list(needs), seed
        for device in given:
            held = [needs[name] for name, where in placement.devices.items() if where == device.name]
            offloaded = device.name in placement.offload
            together = sum(one.resident for one in held) + max((one.training for one in held), default=0)
            most = max((one.peak for one in held), default=0) if offloaded else together
            assert most <= USABLE * device.free, (seed, device)


def test_one_model_of_a_slot_is_on_the_device_at_a_time() -> None:
    moved: list[tuple[str, str]] = []

    class Model:
        def __init__(self, name: str) -> None:
            self.name = name

        def to(self, device: str) -> None:
            moved.append((self.name, device))

    first, second = Model("first"), Model("second")
    slot = DeviceSlot("cuda:1", offload=True)
    for model in (first, first, second, first):
        slot.acquire(model.to)
    assert moved == [
        ("first", "cuda:1"), ("first", "cpu"), ("second", "cuda:1"), ("second", "cpu"), ("first", "cuda:1")
    ]  # fmt: skip
    DeviceSlot("cuda:0").acquire(first.to)
    assert len(moved) == 5


@pytest.mark.parametrize("name", SEED_MODELS)
def test_parameters_are_counted_without_loading_them(name: str) -> None:
    model = load_model(seed_model(name), device="cpu").model
    assert model_size(seed_model(name), "main").weights == model.num_parameters()


def test_parameters_of_a_missing_model_are_an_error() -> None:
    with pytest.raises(ModelError, match="no such model folder"):
        model_size("./no/such/model", "main")


@pytest.mark.slow
def test_a_run_with_offloaded_models_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    """On a device that is the CPU under another name, with room for one of them."""

    def run(folder: Path) -> dict[str, bytes]:
        method = PST(num_rounds=2, problems_per_round=8, max_completion_length=24)
        SelfTrainer(
            method=method,
            model=[seed_model("llama"), seed_model("qwen2")],
            output_dir=folder,
            progress=Progress(),
            train_dataset=load_problems("word_problems", max_problems=24),
            eval_dataset=load_problems("word_problems", split="test", max_problems=6),
            training=PSTTrainingConfig(validation_size=6, learning_rate=1e-4),
            evaluation=PSTEvalConfig(num_generations_eval=1, eval_rounds=1, gv_gap=False),
            engine=EngineConfig(engine="transformers"),
        ).train()
        assert RunFolder.open(folder).rounds()
        return {str(file.relative_to(folder)): file.read_bytes()
                for part in ("samples", "evaluations", "weights") for file in (folder / part).rglob("*")
                if file.is_file()}  # fmt: skip

    alone = run(tmp_path / "alone")
    monkeypatch.setattr(model_factory, "gpus", lambda: [Device("cpu", 30_000_000)])
    assert "in turns" not in capsys.readouterr().err
    assert run(tmp_path / "turns") == alone
    assert "cpu: llama, qwen2 in turns (CPU offload)" in capsys.readouterr().err


def test_without_a_plan_all_models_are_on_the_device_of_the_settings() -> None:
    placement = Placement({"a": "auto", "b": "auto"}, planned=False)
    assert not list(placement.lines())
    assert placement.slots["a"].device == "auto" and not placement.slots["b"].offload
