"""Every recipe makes a run's settings, and says where each of its values comes from."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from selftrain.cli.command import all_commands
from selftrain.methods import METHODS
from selftrain.problems.registry import find_known

RECIPES = sorted((Path(__file__).parents[1] / "recipes").glob("*.yaml"))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_is_a_run_and_names_its_sources(recipe: Path) -> None:
    lines = recipe.read_text().splitlines()
    (name,) = re.findall(r"selftrain (\S+) --config recipes/" + re.escape(recipe.name), lines[0])
    assert all("  # " in line for line in lines if not line.startswith("#"))
    settings = all_commands()[name].parse(["--config", str(recipe)])
    given = yaml.safe_load(recipe.read_text())
    resolved = yaml.safe_load(settings.to_yaml())
    assert {key: resolved[key] for key in given} == given
    assert isinstance(settings[METHODS[name]], METHODS[name])
    sets = [given[key] for key in ("dataset_name", "eval_dataset_name") if key in given]
    assert all("/" in one or find_known(one) for one in sets)


def test_every_recipe_stands_in_the_table() -> None:
    table = (RECIPES[0].parent / "README.md").read_text()
    assert len(RECIPES) == 5 and all(f"({recipe.name})" in table for recipe in RECIPES)
