"""Flags, their precedence over files, and where each value is said to come from."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from selftrain.config import Resolved, config_dataclass, from_record, parse, setting, settings_in, settings_of
from selftrain.errors import SettingsError
from tests.config import example
from tests.config.example import REST_EM, SAMPLES, SECTIONS, Grow, Model, Query, Run

Write = Callable[[str | bytes], Path]


def rest_em(*argv: str) -> Resolved:
    return REST_EM.parse(["--model_name_or_path", "a", *argv])


def test_defaults_alone() -> None:
    assert rest_em().sections == {"model": Model(model_name_or_path=("a",)), "grow": Grow(), "run": Run()}


def test_scientific_notation() -> None:
    assert rest_em("--learning_rate", "1e-5", "--num_generations=1e2").to_dict()["num_generations"] == 100
    assert rest_em("--learning_rate", "3e-7")[Run].learning_rate == 3e-7


def test_several_values_stand_side_by_side_or_one_by_one() -> None:
    assert rest_em("b", "--eval_k", "1", "2", "--eval_k", "4")[Grow].eval_k == (1, 2, 4)
    assert rest_em("b")[Model].model_name_or_path == ("a", "b")
    assert rest_em("--eval_k")[Grow].eval_k == ()


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (["--log_completions"], True),
        (["--log_completions", "true"], True),
        (["--log_completions", "false"], False),
        (["--log_completions=False"], False),
        (["--no_log_completions"], False),
        (["--log_completions", "--no_log_completions"], False),
    ],
)
def test_switches(words: list[str], value: bool) -> None:
    assert rest_em(*words, "--run_name", "a")[Grow].log_completions is value


@pytest.mark.parametrize(
    "words", [["--json", "runs/a", "select 1"], ["runs/a", "--json", "select 1"], ["runs/a", "select 1", "--json"]]
)
def test_a_switch_does_not_swallow_a_positional(words: list[str]) -> None:
    assert SAMPLES.parse(words)[Query] == Query(run=Path("runs/a"), sql="select 1", json=True)


def test_a_positional_may_look_like_a_flag_after_two_dashes() -> None:
    assert SAMPLES.parse(["runs/a", "--", "-- all"])[Query].sql == "-- all"


def test_flags_win_over_files_wherever_they_stand(yaml_file: Write) -> None:
    path = str(yaml_file("top_k: 1\nnum_generations: 2\n"))
    for words in (["--top_k", "9", "--config", path], ["--config", path, "--top_k", "9"]):
        assert rest_em(*words)[Grow].top_k == 9
        assert rest_em(*words)[Grow].num_generations == 2


def test_a_later_file_wins_over_an_earlier_one(yaml_file: Write) -> None:
    path = yaml_file("top_k: 1\nnum_generations: 2\n")
    Path("more.yaml").write_text("top_k: 5\n")
    settings = rest_em("--config", str(path), "--config", "more.yaml")
    assert (settings[Grow].top_k, settings[Grow].num_generations) == (5, 2)
    assert str(settings.origins["top_k"]) == "more.yaml:1"


def test_every_value_says_where_it_comes_from(yaml_file: Write) -> None:
    path = str(yaml_file("\n\ngrow:\n  num_generations: 2\n"))
    lines = rest_em("--config", path, "--top_k", "none").to_yaml().splitlines()
    assert lines[:2] == ["# model", "model_name_or_path: [a]  # flag --model_name_or_path"]
    comments = {line.split(":")[0]: line.split("# ", 1)[1] for line in lines if ": " in line}
    assert comments["num_generations"] == "run.yaml:4"
    assert comments["top_k"] == "flag --top_k"
    assert comments["temperature"] == "default (ReST-EM, section 4)"
    assert comments["eval_k"] == "default (ours)"
    assert str(SAMPLES.parse(["runs/a"]).origins["run"]) == "flag RUN"


def test_the_printed_settings_give_the_same_settings(yaml_file: Write) -> None:
    hard = "a: 'b' # \N{SNOWMAN}\n\t\"c\" \x7f null"
    settings = rest_em("--run_name", hard, "--report_to", "null", "x, y", "--top_k=null", "--learning_rate", "1e-7")
    path = yaml_file(settings.to_yaml())
    again = REST_EM.parse(["--config", str(path)])
    assert again.sections == settings.sections
    assert again[Grow].run_name == hard
    assert {origin.kind for origin in again.origins.values()} == {"file"}


def test_recorded_settings_keep_their_values_and_origins() -> None:
    """As a journal has them; what is given again overrides them."""
    before = rest_em("--top_k", "none", "--eval_k", "2", "4", "--run_name", "null")
    facts = json.loads(json.dumps([before.to_dict(), {n: [o.kind, o.place] for n, o in before.origins.items()}]))
    recorded = from_record(*facts, settings_in(REST_EM.sections()), "run/journal")
    again = REST_EM.parse([], recorded)
    assert again.sections == before.sections and again.origins == before.origins
    changed = REST_EM.parse(["--temperature", "1"], recorded)
    assert changed[Grow].temperature == 1 and str(changed.origins["temperature"]) == "flag --temperature"
    assert str(changed.origins["top_k"]) == "flag --top_k"
    with pytest.raises(SettingsError, match=r"gone is not a setting \(run/journal\)"):
        from_record({"gone": 1}, {}, settings_in(REST_EM.sections()), "run/journal")
    with pytest.raises(SettingsError, match=r"temperature is 'hot' \(run/journal\)"):
        REST_EM.parse([], from_record({"temperature": "hot"}, {}, settings_in(SECTIONS), "run/journal"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--num_generation", "8"], "--num_generation is not a flag of selftrain rest-em\ndid you mean --num_generat"),
        (["--top-k=8"], "--top-k is not a flag of selftrain rest-em\ndid you mean --top_k?"),
        (["--zzz"], "--zzz is not a flag of selftrain rest-em\nsee --help"),
        (
            ["--top_k", "1", "2"],
            "'2' is not a setting\nit is neither a flag nor the value of one\nsee selftrain rest-em --help",
        ),
        (["--top_k"], "argument --top_k: expected one argument"),
        (["--top_k", "many"], "top_k is 'many' (flag --top_k)\nexpected int|null, at least 1\nthe default is 40"),
        (["--dtype", "int8"], "dtype is 'int8' (flag --dtype)\nexpected float32|bfloat16"),
        (["--log_completions", "yes"], "log_completions is 'yes' (flag --log_completions)\nexpected true|false"),
        (
            ["--temperature", "inf"],
            "temperature is 'inf' (flag --temperature)\nexpected float, at least 0 and",
        ),
        (["--temperature", "-1"], "temperature is -1.0 (flag --temperature)\nexpected float, at least 0 and"),
        (["--eval_k", "1", "0"], "eval_k is (1, 0) (flag --eval_k)\nexpected list of int, at least 1"),
        (["--report_to"], "report_to is [] (flag --report_to)\nexpected list of str, with 1 or more items"),
        (["--backend", "vllm"], "backend is 'vllm' (flag --backend)\nexpected toy|transformers"),
        (["--log_completions"], "log_completions is set without run_name (log_completions = True from flag --log_comp"),
    ],
)
def test_mistakes_are_named_with_their_flag(words: list[str], message: str) -> None:
    with pytest.raises(SettingsError) as raised:
        rest_em(*words)
    assert str(raised.value).startswith(message)


def test_what_is_missing_is_named_with_an_example() -> None:
    with pytest.raises(SettingsError, match="model_name_or_path must be given\nfor example: --model_name_or_path Qwen"):
        REST_EM.parse([])
    with pytest.raises(SettingsError, match="run must be given\nfor example: runs/gsm8k"):
        SAMPLES.parse(["--json"])


def test_a_command_may_change_a_default_by_inheritance() -> None:
    @config_dataclass
    class LongRun(Run):
        learning_rate: float = setting(1e-6, "peak learning rate", source="SePT, table 5")

    settings = parse({"run": LongRun}, [], prog="sept")
    assert settings[Run].learning_rate == 1e-6
    assert str(settings.origins["learning_rate"]) == "default (SePT, table 5)"


def test_a_new_default_keeps_help_and_bounds_and_has_its_own_source() -> None:
    @config_dataclass
    class Colder(Grow):
        temperature: float = setting(0.3)
        top_k: int | None = setting(None, source="SePT")

    temperature, top_k = settings_of(Colder)[1:3]
    assert temperature.describe() == "temperature of sampling. Default: 0.3 (ours)"
    assert top_k.describe() == "keep the 40% or so likeliest tokens. Default: null (SePT)"
    with pytest.raises(SettingsError, match="temperature is 2"):
        Colder(temperature=2.0)
    with pytest.raises(SettingsError, match="log_completions is set without run_name"):
        Colder(log_completions=True)


def test_a_choice_may_be_added_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(example, "BACKENDS", ["toy", "vllm"])
    assert rest_em("--backend", "vllm")[Grow].backend == "vllm"


def test_what_may_change_is_marked_on_a_setting_or_on_its_class() -> None:
    @config_dataclass(forkable=True)
    class Method:
        rounds: int = setting(3, "rounds")
        data: str = setting("gsm8k", "data", forkable=False)
        hours: float = setting(1.0, "hours", resumable=True)

    @config_dataclass
    class Mine(Method):
        rounds: int = setting(5)
        extra: int = setting(1, "extra")

    marks = {s.name: (s.resumable, s.forkable) for s in settings_of(Mine)}
    assert marks == {"rounds": (False, True), "data": (False, False), "hours": (True, True), "extra": (False, False)}


def test_two_sections_cannot_share_a_name() -> None:
    with pytest.raises(argparse.ArgumentError, match="conflicting option"):
        parse({"one": Run, "two": Run}, [], prog="twice")
