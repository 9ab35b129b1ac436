"""Every command and block of the README and of `docs/` works as it stands, in a shell that has nothing but what the
page has its reader do. What a block needs that is not here stands in its first line: "# needs a GPU".
"""

from __future__ import annotations

import ast
import json
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from selftrain.cli.command import all_commands
from selftrain.models.seeds import seed_model
from tests.pages import PAGES, ROOT, Block, blocks_of, environment, installed, shell

BLOCKS = [block for page in PAGES for block in blocks_of(page)]
COMMANDS = [(block.page, line) for block in BLOCKS if block.language == "bash" for line in block.commands]
#: Names in the docs, and what a test has in their place: nothing is downloaded.
STAND_INS = {
    r"\bQwen/[\w.-]*[\w-]": seed_model("qwen2"),
    r"\bgoogle/[\w.-]*[\w-]": seed_model("gemma2"),
    r"\b(meta-llama|HuggingFaceTB)/[\w.-]*[\w-]|\./my-model": seed_model("llama"),
    r"(?<=dataset_name )(gsm8k|math)\b": "word_problems",
    r"(?<=dataset_name )mbpp\b": "tasks.jsonl",
    r"(?<= )recipes/": f"{ROOT}/recipes/",
}
#: What "..." stands for in a command.
USUAL = {"model_name_or_path": seed_model("llama"), "dataset_name": "word_problems", "output_dir": "runs/of-{}"}
#: Where a page's command says nothing of them: the smallest run.
SMALL = {
    "max_train_samples": 24, "max_eval_samples": 8, "num_generations_eval": 1, "num_generations": 2,
    "max_completion_length": 48, "num_rounds": 1, "problems_per_round": 8, "validation_size": 0.25,
    "probe_generations": 1, "consensus_generations": 2, "gv_gap_problems": 2, "gv_gap_generations": 2,
}  # fmt: skip
#: Of an evaluation outside a run.
SMALL_EVAL = ("max_eval_samples", "num_generations_eval", "max_completion_length")


def test_a_command_is_in_a_block_that_says_so() -> None:
    for block in BLOCKS:
        if block.language not in ("bash", "python", "toml"):
            assert not re.search(r"^(selftrain|pip|make|python|source) ", block.code, flags=re.M), block


@pytest.mark.parametrize(("page", "line"), COMMANDS, ids=[f"{page}-{line[:40]}" for page, line in COMMANDS])
def test_every_command_can_be_parsed(page: str, line: str) -> None:
    """Also those that need what is not here."""
    words = shlex.split(line.replace("$MODEL", "model"), comments=True)
    if words[0] == "pip":
        extras = re.findall(r"selftrain\[(\w+)\]", line)
        assert all(f"\n{extra} = [" in (ROOT / "pyproject.toml").read_text() for extra in extras)
    if words[0] == "make":
        assert f"\n{words[1]}:" in (ROOT / "Makefile").read_text()
    ours = not {"majority", "loud"} & {*words}  # of packages that pages have their readers write
    if words[0] == "selftrain" and ours:
        _parse(words[1:])


def _parse(words: list[str]) -> None:
    words = words[: min((words.index(mark) for mark in (">", "|") if mark in words), default=None)]
    if {"--help", "--version"} & {*words}:
        return
    if "..." in words:
        given = [part for name, value in USUAL.items() if f"--{name}" not in words for part in (f"--{name}", value)]
        at = words.index("...")
        words = [*words[:at], *given, *words[at + 1 :]]
    all_commands()[words[0]].parse([re.sub(r"^recipes/", f"{ROOT}/recipes/", word) for word in words[1:]])


def test_what_the_readme_has_for_everybody_can_be_parsed() -> None:
    rows = re.findall(r"^\|.*\| `([a-z-]+ .*?)`", (ROOT / "README.md").read_text(), flags=re.M)
    assert len(rows) > 8
    for row in rows:
        words = shlex.split(row)
        _parse(words if {"...", "--output_dir"} & {*words} or words[0] not in ("rest-em", "plan") else [*words, "..."])


def test_messages_are_quoted_as_they_are() -> None:
    """The headings of a page; where a message has a name or a figure they have "…"."""
    texts = {
        node.value
        for path in (ROOT / "selftrain").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    quoted = re.findall(r"^### `(.*)`$", (ROOT / "docs" / "troubleshooting.md").read_text(), flags=re.M)
    assert len(quoted) > 30
    for message in quoted:
        for part in filter(None, map(str.strip, message.split("…"))):
            assert any(part in text for text in texts), message


def test_llms_txt_leads_to_every_page() -> None:
    text = (ROOT / "llms.txt").read_text()
    assert re.match(r"# selftrain\n\n> ", text)
    linked = set(re.findall(r"\]\(([^)]+)\)", text))
    assert all((ROOT / target).exists() for target in linked)
    pages = {p.relative_to(ROOT).as_posix() for p in (ROOT / "docs").rglob("*.md")}
    assert {p for p in pages if p.split("/")[1] not in ("results", "decisions")} <= linked


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of two rounds, which pages speak of as runs/first."""
    folder = tmp_path_factory.mktemp("first")
    words = ["--model_name_or_path", seed_model("llama"), "--dataset_name", "word_problems",
             "--output_dir", "runs/first", *_small("rest-em"), "--num_rounds", "2"]  # fmt: skip
    done = shell(shlex.join([sys.executable, "-m", "selftrain", "rest-em", *words]), folder)
    assert done.returncode == 0, done.stderr
    return folder / "runs" / "first"


def _small(command: str) -> list[str]:
    from selftrain.config import settings_in

    known = SMALL_EVAL if command == "eval" else settings_in(all_commands()[command].sections())
    return [part for name, value in SMALL.items() if name in known for part in (f"--{name}", str(value))]


#: The tutorial is followed in full, with the model that it names, by tests/test_docs.py: a smaller one keeps nothing.
RUN = [
    page
    for page in PAGES
    if page.name != "tutorial.md"
    and any(block.language in ("bash", "python") and not block.needs and not block.file for block in blocks_of(page))
]


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_page_works_as_it_stands(page: Path, here: Path, first: Path) -> None:
    if not environment(here):
        pytest.skip("these tests run in no environment that could be activated")
    shutil.copytree(first, here / "runs" / "first", symlinks=True)
    (here / "tasks.jsonl").write_text(_tasks())
    blocks = [block for block in blocks_of(page) if not block.needs]
    for block in blocks:
        if block.file:
            (here / block.file).parent.mkdir(parents=True, exist_ok=True)
            (here / block.file).write_text(block.code)
    packages = [here / match for match in re.findall(r"--editable \./(\S+)", page.read_text())]
    for package in packages:
        installed(here, package.name)
    activate = [] if page.name in ("README.md", "start.md") else ["source .venv/bin/activate"]
    done = shell("\n".join([*_PREFACE, *activate, *_script(blocks)]), here, *packages)
    assert done.returncode == 0 and "Traceback" not in done.stderr, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"


#: Installing needs the network, and `make` another folder; both are looked at by the tests above.
_PREFACE = ["pip() { true; }", "make() { true; }", 'python3() { [ "$2" = venv ] || command python3 "$@"; }']


def _script(blocks: list[Block]) -> Iterator[str]:
    for number, block in enumerate(block for block in blocks if not block.file):
        code = block.code
        for name, stand_in in STAND_INS.items():
            code = re.sub(name, stand_in, code)
        if block.language == "bash":
            yield re.sub(r"^selftrain ([\w-]+)(.*(?:\\\n.*)*)", partial(_smaller, number=number), code, flags=re.M)
        elif block.language == "python" and block.page != "README.md":  # which tests/test_docs.py runs, twice
            yield f"python - <<'END_OF_PYTHON'\nimport sys; sys.path.insert(0, '')\n{code}END_OF_PYTHON"


def _smaller(found: re.Match[str], *, number: int) -> str:
    """The command with the settings of the smallest run, but for what it says itself."""
    command, rest = found.groups()
    if " ..." in rest:
        usual = [f"--{name} {value.format(number)}" for name, value in USUAL.items() if f"--{name}" not in rest]
        rest = rest.replace(" ...", " " + " ".join(usual), 1)
    if command == "plan" and (method := re.match(r" ([\w-]+)", rest)) and "--params" not in rest:
        return f"selftrain plan{method[0]} {_flags(method[1], rest)}{rest[method.end() :]}"
    if command in ("rest-em", "sept", "pst", "eval", "demo") and "--help" not in rest:
        return f"selftrain {command} {_flags(command, rest)}{rest}"
    return f"selftrain {command}{rest}"


def _flags(command: str, rest: str) -> str:
    words = _small(command)
    return " ".join(f"{name} {value}" for name, value in zip(words[::2], words[1::2], strict=True) if name not in rest)


def _tasks() -> str:
    (block,) = [b for b in blocks_of(ROOT / "docs" / "how_to" / "data_set.md") if "> tasks.jsonl" in b.code]
    return block.code.partition("\n")[2].partition("\nEND\n")[0] + "\n"


@pytest.mark.slow
def test_the_notebook_runs(here: Path) -> None:
    nbclient = pytest.importorskip("nbclient", reason="running a notebook needs nbclient and ipykernel")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel", reason="running a notebook needs nbclient and ipykernel")
    notebook = nbformat.read(ROOT / "docs" / "notebooks" / "start.ipynb", as_version=4)
    nbformat.validate(notebook)
    nbclient.NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(here)}}).execute()
    shown = json.dumps([cell.get("outputs", []) for cell in notebook.cells])
    assert "Round 1" in shown and "drop_reason" in shown and "Traceback" not in shown
