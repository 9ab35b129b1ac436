from __future__ import annotations

from pathlib import Path

from selftrain.training.base import TrainingConfig
from selftrain.types import Prompt, TrainingExample
from tests.toys.model import ToyModel
from tests.toys.trainer import ToyTrainer
from tests.training.small import Folders, train

EXAMPLES = [TrainingExample(Prompt(f"t{i}", f"What is {i}+1?"), f" #### {i + 1}") for i in range(5)]
CONFIG = TrainingConfig(learning_rate=1.0)


def trained(folders: Folders | None = None, seed: str = "s") -> tuple[ToyTrainer, object]:
    trainer = ToyTrainer(ToyModel())
    report = train(trainer, CONFIG, seed=seed, validation_metric=lambda: 0.5, checkpoints=folders)
    return trainer, report


def test_resumed_after_any_step_or_validation_it_ends_the_same(tmp_path: Path) -> None:
    whole, report = trained()
    saving = Folders(tmp_path / "states")
    trained(saving)
    assert len(saving.states) == 3 + 4
    for number, state in enumerate(saving.states):
        folders = Folders(None, state)
        again, resumed = trained(folders)
        assert (again.model.logits, resumed) == (whole.model.logits, report)
        assert folders.asked == 6 - number


def test_a_state_of_another_training_is_ignored(tmp_path: Path) -> None:
    saving = Folders(tmp_path)
    trained(saving)
    folders = Folders(None, saving.states[3])
    trained(folders, "another seed")
    assert folders.asked == 7


def test_no_state_is_kept_between_rounds(tmp_path: Path) -> None:
    trainer, _ = trained()
    trainer.save_state(tmp_path / "state")
    assert not (tmp_path / "state").exists()
    trainer.load_state(tmp_path / "state")
