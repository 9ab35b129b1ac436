"""From finished runs to one number a problem, and from those to differences with intervals."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import fmean, stdev

import numpy as np

from benchmarks.claims.claims import Claim, Side
from benchmarks.jobs import Job
from selftrain.evaluation.intervals import bootstrap, sign_flips
from selftrain.evaluation.metrics import pass_at
from selftrain.report.round_record import read_rounds
from selftrain.storage import RunFolder

#: 97.5 % point of Student's t by degrees of freedom, for figures that exist once a run and model.
T = {2: 4.303, 5: 2.571, 8: 2.306}


@dataclass(frozen=True)
class Difference:
    """The mean over seeds, its 95 % interval, and the seeds one by one."""

    mean: float
    low: float
    high: float
    by_seed: tuple[float, ...]
    #: Two-sided, by permutation over problems; None for figures that exist once a run and model.
    p_value: float | None = None

    @property
    def interval(self) -> str:
        return f"{100 * self.mean:+.1f} [{100 * self.low:+.1f}, {100 * self.high:+.1f}]"

    @property
    def each_seed(self) -> str:
        return ", ".join(f"{100 * value:+.1f}" for value in self.by_seed)

    @property
    def verdict(self) -> str:
        if self.low > 0 and min(self.by_seed) > 0:
            return "holds"
        return "does not" if self.high < 0 else "undecided"


def difference(claim: Claim, folders: Mapping[tuple[str, int], Path], seeds: tuple[int, ...]) -> Difference:
    if claim.metric == "gv_gap":
        return _of_runs(
            [[_gap(folders[claim.left[0], seed], side) for side in (claim.left, claim.right)] for seed in seeds]
        )
    by_seed = []
    for seed in seeds:
        left, right = (_values(folders, side, seed, claim, side is claim.right) for side in (claim.left, claim.right))
        by_seed.append({problem: left[problem] - right[problem] for problem in left.keys() & right.keys()})
    common = sorted(set.intersection(*(set(one) for one in by_seed)))
    # Seeds share the problems, so a problem's mean over seeds is what is drawn anew; seeds are shown one by one.
    means = np.round([fmean(one[problem] for one in by_seed) for problem in common], 12)
    low, high = bootstrap(means)
    each = tuple(fmean(one.values()) for one in by_seed)
    return Difference(float(means.mean()), low, high, each, sign_flips(means))


def cost(jobs: Sequence[Job]) -> tuple[int, float]:
    """Tokens sampled for training, and minutes of processor time."""
    records = [record for job in jobs for record in read_rounds(RunFolder.open(job.folder))]
    tokens = sum(record.sampling.tokens for record in records if record.sampling is not None)
    return tokens, sum(job.facts["minutes"] for job in jobs)


def _of_runs(pairs: list[list[dict[str, float]]]) -> Difference:
    """Where a figure exists once a run and model: Student's interval over runs and models."""
    falls = [[left[model] - right[model] for model in left] for left, right in pairs]
    flat = [fall for of_seed in falls for fall in of_seed]
    reach = T.get(len(flat) - 1, 1.96) * stdev(flat) / math.sqrt(len(flat)) if len(flat) > 1 else math.inf
    return Difference(fmean(flat), fmean(flat) - reach, fmean(flat) + reach, tuple(map(fmean, falls)))


def _values(
    folders: Mapping[tuple[str, int], Path], side: Side, seed: int, claim: Claim, is_right: bool
) -> dict[str, float]:
    folder = folders[side[0], seed]
    if claim.metric == "best-decoded":
        return _best_decoded(folder) if is_right else per_problem(folder, side[1], "pass@1", claim.model)
    if claim.metric == "against-majority":
        return _majority(folder) if is_right else per_problem(folder, side[1], "greedy", claim.model)
    return per_problem(folder, side[1], claim.metric, claim.model)


@cache
def per_problem(folder: Path, when: str, metric: str, model: str | None) -> dict[str, float]:
    """The metric of each problem, the mean over the models where there are several."""
    run = RunFolder.open(folder)
    number = max(record.round for record in read_rounds(run) if record.metrics) if when == "last" else 0
    only = f"and model = '{model}'" if model else ""
    rows = run.query(
        "select model, problem_id, greedy, count(*) as n, sum(cast(reward >= 0.5 as int)) as right from evaluations "
        f"where round = {number} and reward is not null {only} group by all"
    ).fetchall()
    found: defaultdict[str, list[float]] = defaultdict(list)
    for _, problem, greedy, n, right in rows:
        if metric == "greedy" and greedy:
            found[problem].append(right / n)
        if metric != "greedy" and not greedy:
            found[problem].append(pass_at(int(metric.partition("@")[2]), n, right))
    return {problem: fmean(values) for problem, values in found.items()}


def _best_decoded(folder: Path) -> dict[str, float]:
    sweep = read_rounds(RunFolder.open(folder))[0].sweep
    assert sweep is not None, f"{folder} was run without --temperature_sweep"
    return sweep.best_decoded


def _majority(folder: Path) -> dict[str, float]:
    """1 where the most frequent greedy answer of the base models is right; of equally frequent ones the share."""
    votes: defaultdict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    query = (
        "select problem_id, extracted_answer, reward from evaluations where round = 0 and greedy and reward is not null"
    )
    for problem, answer, reward in RunFolder.open(folder).query(query).fetchall():
        votes[problem][answer or ""].append(reward)
    found = {}
    for problem, answers in votes.items():
        most = max(map(len, answers.values()))
        found[problem] = fmean(max(rewards) for rewards in answers.values() if len(rewards) == most)
    return found


def _gap(folder: Path, side: Side) -> dict[str, float]:
    gaps = {(r.round, r.model): r.gv_gap.gap.value for r in read_rounds(RunFolder.open(folder)) if r.gv_gap is not None}
    number = 0 if side[1] == "base" else max(number for number, _ in gaps)
    return {model: value for (measured, model), value in gaps.items() if measured == number}
