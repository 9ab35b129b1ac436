"""Lines about a round for the terminal and log.txt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from selftrain.loop.collapse_monitor import CollapseMonitor
from selftrain.loop.collect import CollectedRound
from selftrain.loop.probe import Probe
from selftrain.report.round_record import Alarm, RoundRecord


def probe_lines(number: int, monitor: CollapseMonitor, probes: Mapping[str, Probe]) -> Iterator[str]:
    for model, probe in probes.items():
        peak = monitor.peak_round(model)
        yield f"round {number}: {model}: {monitor.score_name} on the probe {probe.mean:.3f}, best in round {peak}"


def alarm_lines(alarms: Iterable[Alarm]) -> Iterator[str]:
    for alarm in alarms:
        yield f"collapse monitor: {'collapse' if alarm.severe else 'warning'}: {alarm.model}: {alarm.reason}"


def held_back_lines(records: Iterable[RoundRecord]) -> Iterator[str]:
    """How many rewarded programs are right only on the tests that they are rewarded for."""
    for record in records:
        sampling = record.sampling
        if sampling is not None and sampling.held_back_gap is not None:
            yield (
                f"round {record.round}: {record.model}: {sampling.held_back_failed:,} of "
                f"{sampling.held_back_graded:,} rewarded programs fail tests that give no reward "
                f"({100 * sampling.held_back_gap:.1f} %)"
            )


def nothing_kept(number: int, collected: CollectedRound) -> str:
    stats = collected.stats.values()
    reasons = sum((stats.drop_reasons for stats in stats), Counter[str]()).most_common()
    return (
        f"round {number} kept none of its {sum(stats.samples for stats in stats):,} samples "
        f"({', '.join(f'{reason}: {count:,}' for reason, count in reasons)}); there is nothing to train on, so the "
        "weights stay as they are and the run ends here. More --num_generations or easier problems may help."
    )


def collapsed(number: int, num_rounds: int) -> str:
    return (
        f"the run ends here, after round {number} of {num_rounds}: the models collapse; the best round is kept as "
        "`best` (--collapse_watch warn continues)"
    )
