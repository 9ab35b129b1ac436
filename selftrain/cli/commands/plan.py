"""`selftrain plan METHOD ...`: what a run would do, need and cost, before it is begun; on this machine or another."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from selftrain.cli.command import command
from selftrain.config import Given, Origin, Resolved, Sections, config_dataclass, parse, required, setting, settings_in
from selftrain.errors import SelftrainError, SettingsError, SeveralError
from selftrain.methods import all_methods

_SUMMARY = "show what a run would do, need and cost: the run's own flags, checks and prompts, some seconds of its work"
_EXAMPLES = (
    "selftrain plan rest-em --model_name_or_path ./my-model --dataset_name gsm8k",
    "selftrain plan sept --params 3e9 --gpus 8 --bf16",
)
_STANDS_IN = Origin("default", "not given, and not needed to plan")


@config_dataclass
class PlanConfig:
    method: str = required("method of the run", example="rest-em", positional=True)


@config_dataclass
class HardwareConfig:
    """Hardware that is not here. With `params` nothing is loaded: work is counted, and priced by assumptions."""

    params: tuple[float, ...] = setting(
        (),
        "weights of the model, to plan for other hardware; one number per model where several learn",
        gt=0,
        essential=True,
    )
    gpus: int | None = setting(
        None,
        "GPUs that the run's work is spread over; by default as many as training_processes",
        ge=1,
        essential=True,
    )
    problems: int = setting(7500, "training problems, validation problems included", source="MATH", ge=1)
    eval_problems: int = setting(500, "evaluation problems", source="MATH-500", ge=1)


def sections(method: str = "rest-em") -> Sections:
    from selftrain.cli.commands.train import run_sections
    from selftrain.loop.plan import Assumptions

    run = run_sections(all_methods()[method])
    return {"plan": PlanConfig, "hardware": HardwareConfig, **run, "assumptions": Assumptions}


def parse_words(argv: Sequence[str]) -> Resolved:
    """The flags of a run of the method that is named first; `output_dir` may be left out, and for other hardware all
    that is required.

    Raises:
        SettingsError: there is no such method or setting.
    """
    name = argv[0] if argv and not argv[0].startswith("-") else "rest-em"
    if name not in all_methods():
        raise SettingsError(f"there is no method {name!r}", do=f"choose among {', '.join(all_methods())}")
    own = sections(name)
    needed = {t.name: t for t in settings_in(own).values() if t.required and not t.positional}
    values = {name: list(t.example.split()) if " " in t.example else t.example for name, t in needed.items()}
    stand_ins = {name: Given(value, _STANDS_IN) for name, value in {**values, "output_dir": ""}.items()}
    settings = parse(
        own, argv, prog="selftrain plan", summary=_SUMMARY, profiles=all_methods()[name].profiles,
        stand_ins=stand_ins, examples=_EXAMPLES,
    )  # fmt: skip
    lacking = [n for n in needed if settings.origins[n] == _STANDS_IN and n != "output_dir"]
    if lacking and not settings[HardwareConfig].params:
        flags = " ".join(f"--{n} {needed[n].example}" for n in lacking)
        raise SettingsError(
            f"{', '.join(lacking)} must be given", do=f"for example: {flags}; or --params 7e9 for hardware elsewhere"
        )
    return settings


@command(
    "plan", "show what a run would do, need and cost, before it is begun", "Train", sections, parse_words=parse_words
)
def run(settings: Resolved) -> int:
    from selftrain.cli.shared import RunCommandConfig

    as_json = settings[RunCommandConfig].json
    try:
        if settings[HardwareConfig].params:
            return _elsewhere(settings, as_json=as_json)
        return _here(settings, as_json=as_json)
    except SelftrainError as error:
        if not as_json:
            raise
        several = error.errors if isinstance(error, SeveralError) else (error,)
        print(json.dumps({"errors": [{"found": one.found, "why": one.why, "do": one.do} for one in several]}))
        return error.exit_code


def _here(settings: Resolved, *, as_json: bool) -> int:
    from selftrain.cli.commands.train import run_sections, trainer_of
    from selftrain.cli.output import others_on_stderr
    from selftrain.loop.progress import Progress
    from selftrain.storage.typed_json import to_plain

    own = run_sections(type(settings.sections["method"]))
    names = settings_in(own)
    of_run = Resolved(
        {name: settings.sections[name] for name in own},
        {name: origin for name, origin in settings.origins.items() if name in names},
    )
    # The run itself says what it is made of.
    with others_on_stderr(as_json):
        plan = trainer_of(of_run, progress=Progress(quiet=as_json, stream=sys.stdout)).plan()
    print(*([json.dumps(to_plain(plan))] if as_json else plan.expected()), sep="\n")
    return 0


def _elsewhere(settings: Resolved, *, as_json: bool) -> int:
    from selftrain.cli.plan import notes, params_of, shape_of
    from selftrain.engines.config import EngineConfig
    from selftrain.loop.plan import Assumptions, Scale, size
    from selftrain.loop.plan.table import as_data, as_text

    config = settings[HardwareConfig]
    shape = shape_of(settings, problems=config.problems, eval_problems=config.eval_problems)
    gpus = config.gpus or settings[EngineConfig].training_processes
    scale = Scale(params=params_of(config.params, shape), gpus=gpus, assumptions=settings[Assumptions])
    cost = size(shape, scale)
    print(*([json.dumps(as_data(cost))] if as_json else [*as_text(cost), "", *notes(shape, gpus)]), sep="\n")
    return 0
