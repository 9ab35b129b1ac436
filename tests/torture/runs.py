"""Tiny real runs of the three methods, in processes that die where a plan says so.

`Driver` is the tests' end, the module itself the other.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.forking import Forking, serve
from tests.storage.journal.faults import Faults

#: Files that may differ between runs that were killed and runs that were not: times, and traces of the killing.
_CLOCKS = (
    "plan.json",
    "timings.jsonl",
    "log.txt",
    "environment.json",
    "report.html",
    "journal",
    "journal.copy",
    "LOCK",
)


def trainer(method: str, folder: str, processes: int = 1) -> Any:
    from selftrain.engines.config import EngineConfig
    from selftrain.evaluation import EvalConfig
    from selftrain.loop.collapse_monitor import MonitorConfig
    from selftrain.loop.progress import Progress
    from selftrain.loop.stopping import BudgetConfig
    from selftrain.methods import PST, RestEM, SePT
    from selftrain.methods.pst import PSTEvalConfig, PSTTrainingConfig
    from selftrain.methods.sept import SePTEvalConfig, SePTTrainingConfig
    from selftrain.models.seeds import seed_model
    from selftrain.problems import load_problems
    from selftrain.trainer import SelfTrainer
    from selftrain.training.base import TrainingConfig

    short = {"max_completion_length": 12, "num_rounds": 2}
    seldom = {"num_generations_eval": 1, "eval_rounds": 2}
    own: dict[str, Any] = {
        "rest-em": lambda: {
            "evaluation": EvalConfig(**seldom),
            "method": RestEM(**short, num_generations=2, mask_truncated_completions=False),
            "model": seed_model("llama"),
            "reward_funcs": "always_one",
            "training": TrainingConfig(learning_rate=1e-3, num_train_epochs=2, train_batch_size=4, validation_size=4),
        },
        # One long training.
        "training": lambda: {
            "evaluation": EvalConfig(**seldom),
            "method": RestEM(**{**short, "num_rounds": 1}, num_generations=2, mask_truncated_completions=False),
            "model": seed_model("llama"),
            "reward_funcs": "always_one",
            "training": TrainingConfig(
                learning_rate=1e-4, num_train_epochs=5, train_batch_size=5, validation_size=4, max_tokens_per_batch=60
            ),
        },
        "sept": lambda: {
            "evaluation": SePTEvalConfig(**seldom),
            "method": SePT(**{**short, "num_rounds": 3}, problems_per_round=4),
            "model": seed_model("llama"),
            "training": SePTTrainingConfig(learning_rate=1e-3, train_batch_size=2, validation_size=4),
        },
        "pst": lambda: {
            "evaluation": PSTEvalConfig(**seldom, gv_gap=False),
            "method": PST(**{**short, "max_completion_length": 48}, problems_per_round=4),
            "model": [seed_model("llama"), seed_model("qwen2")],
            "training": PSTTrainingConfig(learning_rate=1e-3, train_batch_size=2, validation_size=4),
        },
    }[method]()
    return SelfTrainer(
        **own,
        train_dataset=load_problems("word_problems", split="train", max_problems=14, seed=1),
        eval_dataset=load_problems("word_problems", split="test", max_problems=4, seed=0),
        monitor=MonitorConfig(probe_rounds=1, probe_generations=1, consensus_generations=2, collapse_watch="warn"),
        # SePT removes weights that no longer serve; the others keep all.
        budget=BudgetConfig(checkpoint_minutes=0, keep_weights="best" if method == "sept" else "all"),
        output_dir=folder,
        seed=5,
        engine=EngineConfig(sampling_batch_size=4, training_processes=processes),
        progress=Progress(quiet=True),
    )


@dataclass(frozen=True)
class Ran:
    #: Negative where a signal ended it.
    code: int
    notes: list[str]
    #: What was not synced is lost, so that only what was committed counts as kept.
    lost_power: bool = False

    @property
    def calls(self) -> int:
        return next(int(one.split()[1]) for one in self.notes if one.startswith("calls "))

    def keys(self, what: str) -> list[str]:
        return [one.removeprefix(f"{what} ") for one in self.notes if one.startswith(f"{what} ")]


class Driver(Forking):
    def __init__(self) -> None:
        super().__init__("tests.torture.runs")

    def run(self, method: str, folder: Path, plan: Mapping[str, Any] | None = None, processes: int = 1) -> Ran:
        """Starts or resumes a run in a process that the plan may kill, and which trains in some `processes`."""
        notes = folder.with_name(f"{folder.name}.notes")
        notes.write_text("")
        order = {"method": method, "folder": str(folder), "notes": str(notes), "processes": processes}
        code = self.order({**order, "plan": dict(plan or {})}).code
        return Ran(code, notes.read_text().splitlines(), (plan or {}).get("how") == "power")


def outcome(folder: Path) -> dict[str, bytes]:
    """The results of a run, by file."""
    files = (place for place in folder.rglob("*") if place.is_file() and not place.is_symlink())
    named = {place.relative_to(folder).as_posix(): place for place in files}
    return {
        name: place.read_bytes()
        for name, place in named.items()
        if name not in _CLOCKS and name[0] != "." and not name.startswith("quarantine/")
    }


def _obey(order: Mapping[str, Any]) -> int:
    """In the child: run, and note what was computed, what was kept, and how it ended."""
    import torch

    from selftrain.errors import SelftrainError
    from selftrain.storage import AnswerCache
    from selftrain.storage.journal import holds_run

    torch.set_num_threads(1)
    descriptor, write = os.open(order["notes"], os.O_WRONLY | os.O_APPEND), os.write

    def note(text: str) -> None:
        write(descriptor, f"{text}\n".encode())

    real: Callable[..., Any] = AnswerCache.__call__

    def noted(self: Any, key: str, compute: Callable[[], Any]) -> Any:
        computing = []

        def computed() -> Any:
            # The same key may come several times in a step, each time for another answer.
            computing.append(f"{self.step} {key}#{self._counts[key]}")
            note(f"computing {computing[0]}")
            return compute()

        rows = real(self, key, computed)
        if computing and self.step:
            note(f"kept {computing[0]}")
        return rows

    AnswerCache.__call__ = noted  # type: ignore[method-assign]
    faults = Faults(order["plan"], Path(order["folder"] + ".graveyard"))
    folder = Path(order["folder"])
    # Its own name is a setting, so it has to be the same everywhere.
    os.chdir(folder.parent)
    started = trainer(order["method"], folder.name, order["processes"])
    faults.install()
    try:
        started.train(resume=holds_run(folder))
    except SelftrainError as error:
        note("error " + str(error).replace("\n", " / "))
        return error.exit_code
    except BaseException:
        note(f"traceback {traceback.format_exc()}")
        return 70
    note(f"calls {len(faults.calls)}")
    return 0


def main() -> None:
    trainer("rest-em", "unused")
    import torch
    from transformers import AutoModelForCausalLM, LlamaForCausalLM, Qwen2ForCausalLM  # noqa: F401 - slow to import

    torch.set_num_threads(1)
    serve(_obey)


if __name__ == "__main__":
    main()
