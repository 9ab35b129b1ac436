"""`selftrain demo`: small models teach themselves word problems, offline, on a CPU, in minutes."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from selftrain.cli.command import command
from selftrain.cli.commands.train import train_and_print
from selftrain.config import Resolved, Sections, config_dataclass, setting


@config_dataclass
class DemoConfig:
    """All defaults are ours, chosen so that a demo ends within minutes on two cores."""

    method: Literal["rest-em", "sept", "pst"] = setting("rest-em", "method to show; pst trains all seed models")
    output_dir: str = setting("runs/demo", "folder of the run; a number is added where it is taken", resumable=True)
    seed: int = setting(42, "seed of all randomness in the run")
    model_name: Literal["llama", "qwen2", "gemma2"] = setting("llama", "seed model to train, except for pst")
    num_rounds: int | None = setting(None, "rounds of sampling and training; by default what suits the method", ge=1)
    max_train_samples: int | None = setting(
        None, "generated training problems, validation problems included; by default what suits the method", ge=1
    )
    max_eval_samples: int | None = setting(
        None, "generated evaluation problems; by default what suits the method", ge=1
    )
    reward_funcs: tuple[str, ...] = setting(
        ("math",), "rest-em only; 'always_one' with --deduplicate off is the ablation without a checker"
    )
    deduplicate: Literal["exact", "off"] = setting("exact", "rest-em only; 'off' keeps repeated texts of a problem")
    json: bool = setting(False, "print the result as JSON on standard output", resumable=True)


def sections() -> Sections:
    from selftrain.engines.ray.config import RayConfig
    from selftrain.loop.stopping import BudgetConfig

    return {"demo": DemoConfig, "budget": BudgetConfig, "ray": RayConfig}


@command("demo", "a small model teaches itself, offline, in minutes", "Train", sections, resumable=True)
def run(settings: Resolved, resume: bool = False) -> int:
    from selftrain.cli.demo import PROMPTS, RECIPES
    from selftrain.engines.config import EngineConfig
    from selftrain.models.seeds import SEED_MODELS, seed_model
    from selftrain.problems import load_problems
    from selftrain.trainer import SelfTrainer

    config = settings[DemoConfig]
    recipe = RECIPES[config.method]
    method: Any = recipe.method
    train_size = config.max_train_samples or recipe.max_train_samples
    eval_size = config.max_eval_samples or recipe.max_eval_samples
    changes: dict[str, Any] = {"deduplicate": config.deduplicate} if config.method == "rest-em" else {}
    if config.num_rounds is not None:
        changes["num_rounds"] = config.num_rounds
    names = SEED_MODELS if config.method == "pst" else [config.model_name]
    trainer = SelfTrainer(
        method=replace(method, **changes),
        model=[seed_model(name) for name in names],
        train_dataset=load_problems("word_problems", split="train", max_problems=train_size, seed=config.seed),
        # The same seed in every run: runs that differ in their seed are evaluated on the same problems.
        eval_dataset=load_problems("word_problems", split="test", max_problems=eval_size, seed=0),
        reward_funcs=config.reward_funcs,
        training=replace(
            recipe.training, validation_size=min(recipe.training.validation_size, max(1, train_size // 3))
        ),
        evaluation=recipe.evaluation,
        monitor=recipe.monitor,
        prompts=PROMPTS,
        output_dir=config.output_dir if resume else _unused(Path(config.output_dir)),
        seed=config.seed,
        engine=EngineConfig(sampling_batch_size=256),
        settings=settings,
        command="demo",
        **{name: settings.sections[name] for name in ("budget", "ray")},
    )
    return train_and_print(lambda: trainer.train(resume), config.json)


def _unused(wanted: Path) -> Path:
    """`wanted`, or the first of wanted-2, wanted-3, ... that is absent or empty."""
    numbered = (wanted.with_name(f"{wanted.name}-{number}") for number in itertools.count(2))
    return next(path for path in itertools.chain([wanted], numbered) if not path.exists() or not any(path.iterdir()))
