"""Which share of a model's answers could be read, and which was cut off: without it no accuracy can be judged."""

from __future__ import annotations

from collections.abc import Iterator

from selftrain.report.formatting import estimate
from selftrain.report.history import RunHistory
from selftrain.report.visible import visible


def reading_lines(history: RunHistory) -> Iterator[str]:
    """A line per evaluated record: answers unread, answers cut off, tokens of an answer."""
    for record in history.records:
        metrics = record.metrics
        if "truncation_rate" in metrics:
            unread, cut, length = (
                estimate(metric, metrics.get(metric)).partition(" [")[0]
                for metric in ("parse_failure_rate", "truncation_rate", "mean_length")
            )
            yield f"{visible(record.model)}: {unread} % of answers unread, {cut} % cut off, {length} tokens on average."
