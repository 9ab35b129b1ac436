"""Runs what the papers claim, on the seed models, and writes docs/results/claims.md.

    python -m benchmarks.claims                        every claim, three seeds
    python -m benchmarks.claims --only rest-rounds     one claim
    python -m benchmarks.claims --seeds 1              one seed, for a look

A run that is finished is not done again; one that was cut off goes on where it was.
"""

from __future__ import annotations

import argparse
import os
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.claims import margins
from benchmarks.claims.arms import EVALUATED, trainer
from benchmarks.claims.claims import CLAIMS, Claim
from benchmarks.claims.values import Difference, cost, difference
from benchmarks.jobs import Job, run_all
from selftrain.report.round_record import read_rounds
from selftrain.storage import RunFolder
from selftrain.storage.environment import environment

RUNS, RESULTS = Path("runs/claims"), Path("docs/results/claims.md")
#: Not the seed on which settings were chosen.
SEEDS = (1, 2, 3)


def job_of(arm: str, seed: int) -> Job:
    folder = RUNS / "".join(c if c.isalnum() else "-" for c in arm) / f"seed-{seed}"
    return Job(f"{arm}, seed {seed}", folder, lambda: ["benchmarks.claims", "--arm", arm, "--seed", str(seed)])


def row(claim: Claim, found: Difference, seeds: tuple[int, ...]) -> str:
    tokens, minutes = cost([job_of(arm, seed) for arm in claim.arms for seed in seeds])
    cells = (f"`{claim.name}`", claim.says, claim.number, claim.metric, found.interval, found.each_seed,
             f"**{found.verdict}**", f"{tokens / 1e6:.1f} M", f"{minutes:.0f}")  # fmt: skip
    return f"| {' | '.join(cells)} |"


INTRO = """# The papers' claims on the seed models

`make claims`, {day}, commit {commits}; {cores} CPU cores, torch {torch}, transformers {transformers}; run seeds
{seeds}; all {runs} runs together took {minutes:.0f} minutes of processor time.

Differences are in percent points over the same {problems} made-up problems (PST: mean over its three models): the
mean over seeds, its 95 % interval over problems (paired bootstrap of a problem's mean over seeds; the gap: Student's
t over runs and models), and each seed. *holds*: the interval lies above 0 and so does every seed; *does not*: it lies
below 0; *undecided*: neither. These are tiny models on made-up problems: a claim that fails here may hold elsewhere,
and the other way round. Settings were chosen with seed 42 and frozen. Tokens are those sampled for training, minutes
are processor time; a run serves several claims, so they do not add up. Each arm is taken as its last round left it.
One claim alone: `python -m benchmarks.claims --only NAME`.

| claim | says | the paper's number | metric | here | by seed | verdict | tokens | minutes |
|---|---|---|---|---|---|---|---|---|
"""


def write(claims: list[Claim], seeds: tuple[int, ...], minutes: float) -> None:
    folders = {(arm, seed): job_of(arm, seed).folder for claim in claims for arm in claim.arms for seed in seeds}
    commits = sorted({job_of(*job).facts["commit"] for job in folders})
    packages = environment()["packages"]
    intro = INTRO.format(
        day=f"{datetime.now(UTC):%Y-%m-%d}", commits=", ".join(commits), cores=os.cpu_count(), minutes=minutes,
        torch=packages["torch"], transformers=packages["transformers"], seeds=", ".join(map(str, seeds)),
        problems=EVALUATED, runs=len(folders),
    )  # fmt: skip
    rows = [row(claim, difference(claim, folders, seeds), seeds) for claim in claims]
    if len(claims) == len(CLAIMS):
        rows.append(margins.row())
    RESULTS.write_text(intro + "\n".join([*rows, "", *watched(folders)]) + "\n")
    print(f"written to {RESULTS}")


def watched(folders: dict[tuple[str, int], Path]) -> list[str]:
    """The collapse monitor's alarms in these runs."""
    lines = [
        "## What the collapse monitor reported",
        "",
        "| run | seed | rounds | stopped | why |",
        "|---|---|---|---|---|",
    ]
    for (arm, seed), folder in sorted(folders.items()):
        records = read_rounds(RunFolder.open(folder))
        stops = [alarm.reason for record in records for alarm in record.alarms if alarm.severe]
        lines.append(f"| {arm} | {seed} | {records[-1].round} | {'yes' if stops else 'no'} | {'; '.join(stops)} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only", nargs="*", help="names of claims", choices=[claim.name for claim in CLAIMS], default=None
    )
    parser.add_argument("--seeds", type=int, default=len(SEEDS))
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--arm", help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.arm:
        trainer(asked.arm, asked.seed, job_of(asked.arm, asked.seed).folder).train(resume=True)
        return
    claims = [claim for claim in CLAIMS if asked.only is None or claim.name in asked.only]
    seeds = SEEDS[: asked.seeds]
    jobs = [job_of(arm, seed) for seed in seeds for arm in dict.fromkeys(arm for claim in claims for arm in claim.arms)]
    # As many runs at once as there are cores, one thread each: side by side they lose less than taking turns.
    run_all(jobs, asked.workers, {"OMP_NUM_THREADS": "1"})
    write(claims, seeds, sum(job.facts["minutes"] for job in jobs))


if __name__ == "__main__":
    main()
