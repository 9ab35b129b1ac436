"""Is a run still learning, or falling apart? A fixed probe tells, with or without labels.

Methods without a reward may rise and then fall, and their own loss falls all the while. So problems that are never
trained on are asked again and again. Where their answers may be looked at, the score is the reward. Where not, it is
the share of greedy answers that agree with the *consensus*: the most frequent answer of the untouched models to each
problem, asked once, before round 1. Many answers of a model together are right more often than one of them, so a
model that learns moves towards the consensus; one that falls apart moves away from it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from selftrain.config import config_dataclass, setting
from selftrain.evaluation.intervals import mcnemar
from selftrain.loop.probe import Probe

#: A score is smoothed over so many looks before it is held against its best: one look is noisy, and a best that was
#: picked among many is the noisiest of all.
LOOKS = 3
#: How many standard errors a smoothed fall has to measure.
SURE = 2.6
#: A fall at one look ends a run where it is this many times what is tolerated, with a one-sided p below that.
SUDDEN, SUDDEN_P = 2, 0.001
#: One look warns where its p is below this.
WARNS_P = 0.02
#: Rates may rise by this much over those of the untouched model.
RATE_MAY_RISE = 0.25
#: Share of different problems that may be answered with one and the same text.
SAME_TEXT = 0.5
#: Length and entropy may move by this factor without a word.
FACTOR = {"mean_length": (0.5, 2.0), "token_entropy": (0.1, 3.0)}


@config_dataclass(forkable=True)
class MonitorConfig:
    """How a run is watched for collapse. The published methods have no such monitor; all figures are ours."""

    collapse_watch: Literal["stop", "warn", "off"] = setting(
        "stop", "what to do when the validation score falls or responses degenerate; 'stop' keeps the best round"
    )
    probe_rounds: int = setting(
        5, "probe the model on the validation problems every this many rounds, and in every evaluated round", ge=1
    )
    probe_generations: int = setting(
        4, "responses sampled at temperature 1 for each probe problem; one greedy response comes on top", ge=1
    )
    consensus_generations: int = setting(
        16, "responses of each base model that form the consensus, where labels may not be used", ge=1
    )
    probe_labels: bool = setting(
        False, "score the probe with its labels, in methods that use none; labels of training problems stay hidden"
    )
    watch_tolerance: float = setting(0.08, "share of its peak that the validation score may lose", gt=0, lt=1)


@dataclass(frozen=True)
class Alarm:
    """Alarm("llama", grave=True, reason="reward on the probe fell from 0.740 (round 20) to 0.660 (p = 0.004)")"""

    model: str
    #: A collapse rather than a sign of one.
    severe: bool
    reason: str


class CollapseMonitor:
    """Remembers every probe of a run and says when it goes wrong."""

    def __init__(self, monitor: MonitorConfig, what: str) -> None:
        """`what` names the score: "reward" or "agreement with the consensus"."""
        self.monitor, self.what = monitor, what
        self._seen: defaultdict[str, dict[int, Probe]] = defaultdict(dict)

    def look(self, number: int, probes: Mapping[str, Probe]) -> list[Alarm]:
        """Alarms of this round. Whether a grave one ends the run is for the setting to say."""
        alarms = []
        for model, now in probes.items():
            self._seen[model][number] = now
            alarms += [*self._fall(model, number), *self._degeneration(model, now)]
        if self.monitor.collapse_watch == "off":
            return []
        return alarms

    def peak(self, model: str) -> int:
        """The round with the highest score so far; of equal ones the first."""
        return max(self._seen[model], key=lambda number: (self._seen[model][number].mean, -number))

    def _fall(self, model: str, number: int) -> list[Alarm]:
        """Has the score left its peak by more than the tolerance, and by more than chance?"""
        seen, top = self._seen[model], self.peak(model)
        best, now = seen[top], seen[number]
        fallen = (best.mean - now.mean) / best.mean if best.mean > 0 else 0.0
        p = _one_sided(best.score, now.score)
        sudden = fallen >= SUDDEN * self.monitor.watch_tolerance and p < SUDDEN_P
        reason = f"{self.what} on the probe fell from {best.mean:.3f} (round {top}) to {now.mean:.3f} (p = {p:.2g})"
        if sudden or self._slow_fall(model):
            return [Alarm(model, True, reason if sudden else f"{reason}, over {LOOKS} looks")]
        return [Alarm(model, False, reason)] if fallen >= self.monitor.watch_tolerance and p < WARNS_P else []

    def _slow_fall(self, model: str) -> bool:
        """The mean of the last looks against the best mean of as many, problem by problem."""
        scores = [probe.score for probe in self._seen[model].values()]
        common = sorted(set.intersection(*(set(score) for score in scores)))
        table = np.array([[score[problem] for problem in common] for score in scores])
        if len(table) < LOOKS or not common:
            return False
        smooth = np.stack([table[end - LOOKS : end].mean(axis=0) for end in range(LOOKS, len(table) + 1)])
        best, now = smooth[smooth.mean(axis=1).argmax()], smooth[-1]
        fall, spread = best - now, float((best - now).std())
        # Of a reward below 0 there is no share to lose.
        if best.mean() <= 0 or fall.mean() < self.monitor.watch_tolerance * best.mean() or not spread:
            return False
        return bool(fall.mean() >= SURE * spread / len(common) ** 0.5)

    def _degeneration(self, model: str, now: Probe) -> list[Alarm]:
        base, alarms = self._seen[model][min(self._seen[model])].signals, []
        for rate, means in (("truncation_rate", "cut off"), ("parse_failure_rate", "without a readable answer")):
            if rate in base and now.signals[rate] - base[rate] > RATE_MAY_RISE:
                told = f"{100 * now.signals[rate]:.0f} % of answers are {means}, {100 * base[rate]:.0f} % were before"
                alarms.append(Alarm(model, True, told))
        if now.signals["same_text"] > max(SAME_TEXT, 2 * base["same_text"]):
            told = f"{100 * now.signals['same_text']:.0f} % of different problems get one and the same text"
            alarms.append(Alarm(model, True, told))
        for name, (low, high) in FACTOR.items():
            if base.get(name) and not low <= now.signals.get(name, base[name]) / base[name] <= high:
                alarms.append(Alarm(model, False, f"{name} went from {base[name]:.3g} to {now.signals[name]:.3g}"))
        return alarms


def _one_sided(best: Mapping[str, float], now: Mapping[str, float]) -> float:
    """McNemar's exact p that the score fell, over the problems both have."""
    both = [(best[i], now[i]) for i in best.keys() & now.keys()]
    change = np.array([now_ - then for then, now_ in both])
    lost, gained = int((change < 0).sum()), int((change > 0).sum())
    return mcnemar(gained, lost) / 2 if lost > gained else 1.0
