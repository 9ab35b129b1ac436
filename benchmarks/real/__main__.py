"""Runs the evidence on real models, part by part, and writes a page of results for each.

    python -m benchmarks.real --list                       parts, their runs and what is compared
    python -m benchmarks.real budget                       one part, three seeds; docs/results/real_budget.md
    python -m benchmarks.real ample --only "gemma full mawps" "gemma full mawps control"
    python -m benchmarks.real ample --only "qwen brief" --seeds 1
    python -m benchmarks.real --scale small                a try of the plumbing of every part: few problems, one round

SELFTRAIN_REAL_MODELS names the folder of the models, SELFTRAIN_DATA that of the data. A run that is finished is not
done again; one that was cut off goes on where it was. Settings: settings.py.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from benchmarks.jobs import run_all
from benchmarks.real import data
from benchmarks.real.jobs import Place
from benchmarks.real.pages import page
from benchmarks.real.settings import GEMMA, PARTS, QWEN, SEEDS, SMOLLM2

RUNS, RESULTS = Path("runs/real"), Path("docs/results")


def show() -> None:
    for name, part in PARTS.items():
        print(f"{name}: {part.about}")
        for arm, made_of in part.arms.items():
            print(f"    {arm} ({made_of.command}{', each seed' if made_of.seeded else ''})")


def folder_of(variable: str, *holding: str) -> Path:
    """Ends the process where it is not there."""
    folder = Path(os.environ.get(variable, ""))
    missing = [name for name in holding if not (folder / name).exists()]
    if not os.environ.get(variable) or missing:
        sys.exit(f"{variable} has to name a folder with {', '.join(holding)}; missing are {', '.join(missing)}")
    return folder.absolute()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all by default")
    parser.add_argument("--list", action="store_true", help="what there is")
    parser.add_argument("--only", nargs="+", metavar="RUN", default=None, help="runs of the parts; all by default")
    parser.add_argument("--seeds", type=int, nargs="+", choices=SEEDS, default=None, help="all by default")
    parser.add_argument("--scale", choices=("full", "small"), default="full")
    asked = parser.parse_args()
    if asked.list:
        show()
        return
    parts = asked.parts or list(PARTS)
    known = {arm for part in parts if part in PARTS for arm in PARTS[part].arms}
    if unknown := [name for name in parts if name not in PARTS] + [one for one in asked.only or () if one not in known]:
        sys.exit(f"there is no {', '.join(unknown)}: python -m benchmarks.real --list")
    models = folder_of("SELFTRAIN_REAL_MODELS", QWEN, GEMMA, SMOLLM2)
    given = folder_of("SELFTRAIN_DATA", "mawps", "gsm8k", "mbpp", "humaneval", "singleeq", "addsub", "multiarith")
    small = asked.scale == "small"
    runs = (RUNS / asked.scale).absolute()
    seeds = tuple(asked.seeds or SEEDS[: 1 if small else None])
    data.make(given, runs / "data")
    for part in parts:
        place = Place(part, models, given, runs, small, seeds)
        arms = [arm for arm in PARTS[part].arms if asked.only is None or arm in asked.only]
        run_all(place.jobs(arms), workers=1)
        results = (runs if small else RESULTS) / f"real_{part}.md"
        results.write_text(page(place, arms))
        print(f"written to {results}", flush=True)


if __name__ == "__main__":
    main()
