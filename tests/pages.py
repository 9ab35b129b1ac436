"""The blocks of a page of documentation, and a clean shell that runs them as a reader would."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "seeds" / "README.md"])


@dataclass(frozen=True)
class Block:
    """Block("docs/trackers.md", "bash", "selftrain ...\\n")"""

    page: str
    language: str
    code: str

    @property
    def file(self) -> str | None:
        """What it is to be saved as: its first line is a comment with nothing but the name."""
        found = re.match(r"# ([\w./-]+\.\w+)\n", self.code)
        return found[1] if found and self.language != "bash" else None

    @property
    def needs(self) -> str | None:
        """What a reader has to have for it, as its first line says: "# needs a GPU". No test here has that."""
        found = re.match(r"# needs (.+)\n", self.code)
        return found[1] if found else None

    @cached_property
    def commands(self) -> list[str]:
        """Lines of a bash block, continued ones joined, without comments."""
        joined = re.sub(r"\\\n\s*", "", self.code)
        lines = [re.sub(r"\s+#\s.*$", "", line).strip() for line in joined.splitlines()]
        return [line for line in lines if line and not line.startswith("#")]


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    name = page.relative_to(ROOT).as_posix()
    return [Block(name, *found) for found in re.findall(r"^```(\w*)\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)]


def file_of(page: str, name: str) -> str:
    """The block of a page that is to be saved under this name."""
    (code,) = [block.code for block in blocks_of(ROOT / page) if (block.file or "").endswith(name)]
    return code


def installed(folder: Path, package: str) -> None:
    """What `pip install --editable` makes of a package that a page has its reader write."""
    project = tomllib.loads((folder / package / "pyproject.toml").read_text())["project"]
    lines = []
    for group, entries in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {target}" for name, target in entries.items())]
    info = folder / package / f"{project['name']}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")


def shell(script: str, folder: Path, *paths: Path) -> subprocess.CompletedProcess[str]:
    """A shell that knows nothing of the environment these tests run in: what a page does not say does not work."""
    variables = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(folder), "HF_HUB_OFFLINE": "1", "COLUMNS": "100"}
    variables |= {name: os.environ[name] for name in ("OMP_NUM_THREADS", "TMPDIR", "LANG") if name in os.environ}
    # The code under test, which need not be what is installed.
    variables["PYTHONPATH"] = os.pathsep.join(map(str, [*paths, ROOT]))
    return subprocess.run(
        ["bash", "-e", "-c", script], cwd=folder, env=variables, capture_output=True, text=True, timeout=1800
    )


def environment(folder: Path) -> bool:
    """Puts `.venv` into the folder, as `make demo` or a reader does; False where these tests run in none."""
    if not Path(sys.prefix, "bin", "activate").is_file():
        return False
    (folder / ".venv").symlink_to(sys.prefix)
    return True
