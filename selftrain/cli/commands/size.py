"""`selftrain size`: what a run would cost, computed from its settings."""

from __future__ import annotations

import json

from selftrain.cli.command import command
from selftrain.config import Resolved, Sections, config_dataclass, required, setting


@config_dataclass
class SizeConfig:
    method: str = required("method of the run", example="rest-em", positional=True)
    recipe: str | None = setting(None, "YAML file of the run's settings, as for --config of the run itself")
    set: tuple[str, ...] = setting((), "settings of the run, as name=value; they override the recipe")
    params: tuple[float, ...] = setting(
        (7e9,), "weights of the model; one number per model where several models learn", gt=0, min_items=1
    )
    gpus: int = setting(1, "GPUs that the run's work is spread over", ge=1)
    problems: int = setting(7500, "training problems, validation problems included", source="MATH", ge=1)
    eval_problems: int = setting(500, "evaluation problems", source="MATH-500", ge=1)
    json: bool = setting(False, "print as JSON")


def sections() -> Sections:
    from selftrain.sizing import Assumptions

    return {"size": SizeConfig, "assumptions": Assumptions}


@command("size", "estimate the cost of a run: tokens, GPU-hours, disk, network", "Evaluate", sections)
def run(settings: Resolved) -> int:
    from selftrain.cli.sizing import notes, params_of, plan_of, run_settings
    from selftrain.sizing import Assumptions, Scale, size
    from selftrain.sizing.table import as_data, as_text

    config = settings[SizeConfig]
    plan = plan_of(
        run_settings(config.method, config.recipe, config.set),
        problems=config.problems,
        eval_problems=config.eval_problems,
    )
    params = params_of(config.params, plan)
    cost = size(plan, Scale(params=params, gpus=config.gpus, assumptions=settings[Assumptions]))
    if config.json:
        print(json.dumps(as_data(cost)))
        return 0
    print(*as_text(cost), "", *notes(plan, config.gpus), sep="\n")
    return 0
