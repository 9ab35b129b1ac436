"""The JSON schema of a file of settings says what the reader of such files says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from selftrain.cli.command import all_commands
from selftrain.cli.main import run_cli
from selftrain.config import from_yaml, json_schema
from selftrain.errors import SettingsError
from tests.config.example import SECTIONS

ROOT = Path(__file__).parents[2]


def fits(text: str, schema: dict[str, Any]) -> bool:
    validator = pytest.importorskip("jsonschema", reason="checking a schema needs jsonschema").Draft202012Validator
    validator.check_schema(schema)
    return bool(validator(schema).is_valid(yaml.safe_load(text)))


@pytest.mark.parametrize(
    "text",
    [
        "num_generations: 8\ntop_k: null\neval_k: 4\nbackend: transformers\nmodel_name_or_path: [a, b]",
        "grow:\n  temperature: 0\n  eval_k: [1, 2]\nmodel:\n  dtype: float32",
        "model:",
        "num_generation: 8",
        "num_generations: eight",
        "num_generations: 8.5",
        "temperature: 2",
        "top_k: 0",
        "report_to: []",
        "backend: vllm",
        "dtype: int8",
        "grow:\n  output_dir: runs/a",
        "log_completions: 1",
        "output_dir: [runs/a, runs/b]",
    ],
)
def test_it_accepts_what_the_reader_accepts(here: Path, text: str) -> None:
    # A file need not hold what is required; a run does.
    Path("run.yaml").write_text("model_name_or_path: a\n" * ("model_name_or_path" not in text) + text)
    try:
        from_yaml("run.yaml", SECTIONS)
        accepted = True
    except SettingsError:
        accepted = False
    assert fits(text, json_schema(SECTIONS)) is accepted


@pytest.mark.parametrize("name", ["rest-em", "sept", "pst", "eval"])
def test_a_commands_own_settings_fit_its_schema(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["schema", name]) == 0
    schema = json.loads(capsys.readouterr().out)
    models = ["--models", "a", "b"] if name == "pst" else ["--model_name_or_path", "a"]
    words = [*models, "--dataset_name", "gsm8k", *(["--output_dir", "runs/a"] if name != "eval" else [])]
    resolved = all_commands()[name].parse(words)
    assert fits(resolved.to_yaml(), schema)
    assert set(resolved.to_dict()) <= set(schema["properties"])
    for recipe in (ROOT / "recipes").glob(f"{name.replace('-', '_')}*.yaml"):
        assert fits(recipe.read_text(), schema), recipe.name


def test_what_a_file_may_not_set_has_one_value_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["schema"]) == 0
    entry = json.loads(capsys.readouterr().out)["properties"]["run_model_code"]
    assert entry["const"] == entry["default"]
