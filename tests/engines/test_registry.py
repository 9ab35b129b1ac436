"""An engine of another package is one file and an entry point: --engine knows it, and its settings are flags."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from selftrain.engines.config import EngineConfig
from selftrain.engines.registry import EngineUsage, check_engine
from selftrain.engines.server.config import ServerConfig
from selftrain.engines.vllm.config import VllmConfig
from selftrain.errors import SettingsError
from selftrain.models.seeds import seed_model
from selftrain.storage import RunFolder
from tests.pages import file_of
from tests.plugins import install, refused, selftrain

#: The one file: an engine that has the model's own engine generate, and makes every text louder.
PAGE = file_of("docs/how_to/engine.md", "loud.py")


@pytest.fixture
def plugins(here: Path) -> dict[str, str]:
    return install(here / "site", "loud", PAGE, "[selftrain.engines]\nloud = loud:ENTRY\n")


RUN = ["--model_name_or_path", seed_model("llama"), "--dataset_name", "word_problems", "--output_dir", "run",
       "--max_eval_samples", "4", "--num_generations_eval", "1", "--max_completion_length", "48"]  # fmt: skip
TRAIN = ["rest-em", *RUN, "--num_rounds", "1", "--num_generations", "2", "--max_train_samples", "12",
         "--num_train_epochs", "1", "--early_stopping", "off"]  # fmt: skip


@pytest.mark.slow  # tests/methods/test_a_fourth_method.py trains by it in the quick tier
@pytest.mark.parametrize("words", [["eval", *RUN], TRAIN], ids=["eval", "rest-em"])
def test_an_engine_of_another_package_generates(words: list[str], here: Path, plugins: dict[str, str]) -> None:
    selftrain(*words, "--engine", "loud", "--loud_mark", "?!", env=plugins)
    completions = RunFolder.open("run").query("select completion from evaluations").fetchall()
    assert len(completions) >= 8 and all(text.endswith("?!") for (text,) in completions)
    assert "loud_mark: ?!" in Path("run/settings.yaml").read_text()


@pytest.mark.slow
def test_a_run_of_another_engine_goes_on_whether_the_package_is_installed_or_not(
    here: Path, plugins: dict[str, str]
) -> None:
    for began, goes_on in ((os.environ, plugins), (plugins, os.environ)):
        shutil.rmtree("run", ignore_errors=True)
        selftrain(*TRAIN, "--num_rounds", "2", "--max_rounds", "1", env=began, code=75)
        assert "loud_mark" not in Path("run/settings.yaml").read_text()
        selftrain("resume", "run", "--set", "max_rounds=none", env=goes_on)
    selftrain("fork", "run", "--output_dir", "other", "--round", "1", "--set", "max_rounds=none", env=plugins)


def test_its_name_flags_and_checks_are_those_of_our_own_engines(here: Path, plugins: dict[str, str]) -> None:
    help_text = selftrain("rest-em", "--help", "all", env=plugins).stdout
    assert "auto|transformers|vllm|openai|loud" in help_text and "--loud_mark" in help_text
    wrong = [["--engine", "loud", "--top_k", "500"], ["--loud_mark", "?"], ["--engine", "silent"]]
    checked, unread, unknown = refused([[*TRAIN, *words] for words in wrong], plugins)
    assert "nobody could hear it" in checked
    assert "settings of loud are given, and engine is 'auto'" in unread and "add --engine loud" in unread
    assert "engine is 'silent'" in unknown and "auto|transformers|vllm|openai|loud" in unknown


def test_one_that_cannot_be_imported_leaves_the_others_alone(here: Path, plugins: dict[str, str]) -> None:
    (here / "site" / "loud.py").write_text("import nothing_like_it\n")
    done = selftrain("rest-em", "--help", env=plugins)
    assert "engine loud:ENTRY is left out: ModuleNotFoundError" in done.stderr
    assert "auto|transformers|vllm|openai" in done.stdout and "loud" not in done.stdout


def test_an_unknown_engine_is_refused_and_the_known_ones_named() -> None:
    with pytest.raises(SettingsError, match=r"engine is 'nonsense'[\s\S]*auto\|transformers\|vllm\|openai"):
        EngineConfig(engine="nonsense")
    with pytest.raises(SettingsError, match="the engines are: auto, transformers, vllm, openai"):
        check_engine("nonsense", {}, EngineUsage())


@pytest.mark.parametrize(
    ("engine", "sections", "usage", "says"),
    [
        ("auto", {"vllm": VllmConfig(vllm_enforce_eager=True)}, {}, "add --engine vllm"),
        ("transformers", {"server": ServerConfig(max_retries=1)}, {}, "add --engine openai"),
        ("openai", {}, {"load_in_4bit": True}, "4-bit weights"),
        ("auto", {}, {"load_in_4bit": True, "ray": True}, "engine is 'auto' on Ray"),
        ("openai", {}, {"ray": True}, "--ray and --engine openai are both given"),
    ],
)
def test_what_an_engine_cannot_do_is_refused(engine: str, sections: dict, usage: dict, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        check_engine(engine, sections, EngineUsage(**usage))
