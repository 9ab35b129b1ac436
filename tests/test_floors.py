"""The import rule: rooms import downwards only. Reads the sources, local imports included."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "selftrain"

#: Lowest first. Rooms on one floor do not know each other.
FLOORS: list[set[str]] = [
    {"errors"},
    {"types", "settings"},
    {"conversation", "adapter", "budget", "computing", "cluster.settings", "sandbox", "code_tasks", "durable"},
    {
        "problems",
        "grading",
        "prompts",
        "streams",
        "weighing",
        "environment",
        "pmi",
        "progress",
        "record",
        "seeds",
        "loading",
        "merging",
        "out_of_memory",
        "placement",
        "toy",
        "evaluation",
    },
    {"rendering", "learning.base", "engines.base", "report", "data", "watch"},
    {"scoring", "pool"},
    {"methods", "engines", "learning", "learner"},
    {"cluster", "gathering"},
    {
        "run_lines",
        "preparation",
        "machinery",
        "judges",
        "peak",
        "keeping",
        "run_report",
        "auditing",
        "inputs",
        "sizing",
        "result",
        "held_out",
    },
    {"examination"},
    {"run"},
    {"selftrainer", "sections"},
    {"commands", "grade", "audit"},
    {"catalogue"},
    {"demo", "resume"},
    {"fork", "size", "__main__"},
]
HEAVY = {"torch", "transformers", "vllm", "ray", "accelerate", "peft", "trl"}
#: The only modules that may name a heavy library at their top.
HEAVY_AT_HOME = {
    "engines.transformers", "engines.drawing", "learning.trainer", "learning.step", "learning.tensors",
    "learning.loss", "learning.chance", "learning.exchange", "learning.follower", "learning.followers",
    "learning.gradients", "learning.lora", "merging", "scoring", "loading", "out_of_memory", "cluster.workers",
    "cluster.weights", "cluster.sampling",
}  # fmt: skip
#: A room in which it may.
HEAVY_ROOM = "engines.packed"

MODULES = {
    str(path.relative_to(PACKAGE).with_suffix("")).replace("/", ".").removesuffix(".__init__"): path
    for path in PACKAGE.rglob("*.py")
}


def room(module: str) -> str:
    """The room a module lives in: itself, or the folder that holds it."""
    known = {name for floor in FLOORS for name in floor}
    return module if module in known else module.split(".")[0]


def floor(module: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS) if room(module) in rooms)


def imports(path: Path, *, top_only: bool = False) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if top_only else ast.walk(tree)
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative imports hide where an arrow leads"
            submodules = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name.removeprefix("selftrain.") in MODULES else node.module for name in submodules}
    return found


@pytest.mark.parametrize("module", sorted(set(MODULES) - {"__init__", ""}))
def test_a_room_imports_lower_floors_only(module: str) -> None:
    for name in imports(MODULES[module]):
        if name.startswith("selftrain."):
            target = name.removeprefix("selftrain.")
            assert room(target) == room(module) or floor(target) < floor(module), f"{module} imports {target}"


@pytest.mark.parametrize("module", sorted(set(MODULES) - HEAVY_AT_HOME))
def test_heavy_libraries_are_named_only_at_home(module: str) -> None:
    named = {name.split(".")[0] for name in imports(MODULES[module], top_only=True)} & HEAVY
    assert not named or module.startswith(HEAVY_ROOM)


def test_no_method_is_named_below_the_methods() -> None:
    for module, path in MODULES.items():
        if (module not in ("", "__init__") and floor(module) < floor("methods")) or room(module) in (
            "learner",
            "learning",
            "engines",
        ):
            names = {node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)}
            assert not names & {"RestEM", "SePT", "PST"}, module


def test_pages_are_short() -> None:
    for module, path in MODULES.items():
        lines = path.read_text(encoding="utf-8").splitlines()
        assert len(lines) <= 250, f"{module} has {len(lines)} lines"
        for node in ast.walk(ast.parse("\n".join(lines))):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno < 60, (
                    f"{module}.{node.name} has {node.end_lineno - node.lineno + 1} lines"
                )
