"""Is a run still learning, or collapsing? Seen from the probe, with or without labels.

Methods without a reward may improve and then degrade, while their loss keeps falling. So validation problems, which are
never trained on, are probed every few rounds. With labels the score is the reward; without, it is the share of greedy
answers that agree with the *consensus*: the base models' most frequent answer to each problem, sampled once before
round 1. Many samples of a model are right more often than one of them, so a model that learns moves towards the
consensus, and one that collapses moves away from it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Literal

import numpy as np

from selftrain.config import config_dataclass, setting
from selftrain.evaluation.intervals import mcnemar
from selftrain.loop.probe import Probe
from selftrain.report.round_record import Alarm, ValidatedBy

# All thresholds are ours; docs/collapse_monitor.md says how they were chosen.

#: Probes that a score is averaged over before it is compared with its peak: one probe is noisy, and the peak of many
#: is the noisiest of all.
WINDOW = 3
#: Standard errors that a fall of the averaged score has to measure to be severe.
SEVERE_STANDARD_ERRORS = 2.6
#: A fall at one probe is severe where it is this many times the tolerance, with a one-sided p below that.
SUDDEN_FALL, SUDDEN_P = 2, 0.001
#: A fall at one probe is a warning where its p is below this.
WARNING_P = 0.02
#: Problems scored high of which a fall to none would be a warning: 0.5 to the power of this is below `WARNING_P`.
LEAST_SEEN = 6
#: Rates may rise by this much over those of the base model.
MAX_RATE_RISE = 0.25
#: Share of different problems that may get the same text.
MAX_SAME_TEXT = 0.5
#: Factors by which length and entropy may change without a warning.
FACTORS = {"mean_length": (0.5, 2.0), "token_entropy": (0.1, 3.0)}
_RATES = {"truncation_rate": "cut off", "parse_failure_rate": "without a readable answer"}


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


class CollapseMonitor:
    """Compares every probe of a run with the earlier ones of the same model."""

    def __init__(self, config: MonitorConfig, validated_by: ValidatedBy) -> None:
        self.config = config
        self.score_name = "agreement with the consensus" if validated_by == "consensus" else "reward"
        self._probes: defaultdict[str, dict[int, Probe]] = defaultdict(dict)

    def check(self, number: int, probes: Mapping[str, Probe]) -> list[Alarm]:
        """Adds the probes of a round, by model, and gives its alarms."""
        alarms: list[Alarm] = []
        for model, probe in probes.items():
            self._probes[model][number] = probe
            alarms += [*self._fall(model, number), *self._degeneration(model, probe)]
        return [] if self.config.collapse_watch == "off" else alarms

    def stops_run(self, alarms: list[Alarm]) -> bool:
        return self.config.collapse_watch == "stop" and any(alarm.severe for alarm in alarms)

    def peak_round(self, model: str) -> int:
        """The round with the model's highest score so far; of equal ones the first."""
        probes = self._probes[model]
        return max(probes, key=lambda number: (probes[number].mean, -number))

    def _fall(self, model: str, number: int) -> Iterator[Alarm]:
        """Has the score fallen from its peak by more than the tolerance, and by more than chance?"""
        peak_round = self.peak_round(model)
        peak, probe = self._probes[model][peak_round], self._probes[model][number]
        fall = (peak.mean - probe.mean) / peak.mean if peak.mean > 0 else 0.0
        p = _one_sided(peak.score, probe.score)
        text = f"{self.score_name} on the probe fell from {peak.mean:.3f} (round {peak_round}) to {probe.mean:.3f}"
        text += f" (p = {p:.2g})"
        if fall >= SUDDEN_FALL * self.config.watch_tolerance and p < SUDDEN_P:
            yield Alarm(model, severe=True, reason=text)
        elif self._slow_fall(model):
            yield Alarm(model, severe=True, reason=f"{text}, averaged over {WINDOW} probes")
        elif fall >= self.config.watch_tolerance and p < WARNING_P:
            yield Alarm(model, severe=False, reason=text)

    def _slow_fall(self, model: str) -> bool:
        """The mean of the last `WINDOW` probes against the highest such mean, paired by problem."""
        scores = [probe.score for probe in self._probes[model].values()]
        common = sorted(set.intersection(*(set(score) for score in scores)))
        table = np.array([[score[problem] for problem in common] for score in scores])
        if len(table) < WINDOW or not common:
            return False
        means = np.stack([table[end - WINDOW : end].mean(axis=0) for end in range(WINDOW, len(table) + 1)])
        peak, last = means[means.mean(axis=1).argmax()], means[-1]
        fall, deviation = peak - last, float((peak - last).std())
        # A share of a negative reward would mean nothing.
        if peak.mean() <= 0 or fall.mean() < self.config.watch_tolerance * peak.mean() or not deviation:
            return False
        return bool(fall.mean() >= SEVERE_STANDARD_ERRORS * deviation / len(common) ** 0.5)

    def _degeneration(self, model: str, probe: Probe) -> Iterator[Alarm]:
        probes = self._probes[model]
        base, signals = probes[min(probes)].signals, probe.signals
        for rate, means in _RATES.items():
            if rate in base and signals[rate] - base[rate] > MAX_RATE_RISE:
                text = (
                    f"{100 * signals[rate]:.0f} % of answers are {means}, {100 * base[rate]:.0f} % were before training"
                )
                yield Alarm(model, severe=True, reason=text)
        if signals["same_text"] > max(MAX_SAME_TEXT, 2 * base["same_text"]):
            text = f"{100 * signals['same_text']:.0f} % of different problems get the same text"
            yield Alarm(model, severe=True, reason=text)
        for name, (low, high) in FACTORS.items():
            if base.get(name) and not low <= signals.get(name, base[name]) / base[name] <= high:
                text = f"{name} went from {base[name]:.3g} to {signals[name]:.3g}"
                yield Alarm(model, severe=False, reason=text)


def _one_sided(peak: Mapping[str, float], score: Mapping[str, float]) -> float:
    """McNemar's exact p that the score fell, over the problems both have."""
    changes = np.array([score[problem] - peak[problem] for problem in peak.keys() & score.keys()])
    lost, gained = int((changes < 0).sum()), int((changes > 0).sum())
    return mcnemar(gained, lost) / 2 if lost > gained else 1.0
