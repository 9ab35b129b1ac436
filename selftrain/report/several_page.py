"""The page of several runs: one table, one chart, and the settings in which they differ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from selftrain.report.curves import SHARE, Style, curve, legend, panels
from selftrain.report.formatting import as_duration, setting, short
from selftrain.report.html_tables import COLUMNS, section, table
from selftrain.report.markup import Markup, el, join
from selftrain.report.page import aside, fill, headline
from selftrain.report.round_record import RoundRecord
from selftrain.report.run_line import RunLine
from selftrain.report.run_report import acting_settings
from selftrain.report.several_runs import SeveralRuns, cell, headings, numbered, shares
from selftrain.report.verdict import caveats, unsafe, warnings

#: Settings that tell where a run is, not what it is.
_WHERE = ("output_dir", "json")


def render_several(several: SeveralRuns) -> str:
    """The page as text, in the frame of a run's page, as inert as that."""
    decision = several.decision
    lead = (el("p", sentence, class_="lead") for sentence in several.sentences)
    asides = (
        aside("Not safe", list(_of_each(several, unsafe)), "warned"),
        aside("What the collapse monitor reported", list(_of_each(several, warnings)), "warned"),
        aside("Not measured alike", several.cautions, "warned"),
        aside("Caveats", list(_of_each(several, caveats))),
    )
    return fill(
        f"selftrain: {len(several.runs)} runs",
        el("div", headline(decision), *lead, class_=f"verdict {decision.tone}"),
        asides,
        (_table(several), _chart(several), _differences(several)),
    )


def _of_each(several: SeveralRuns, told: Any) -> Iterator[str]:
    for name, run in zip(several.names, several.runs, strict=True):
        yield from (f"{name}: {text}" for text in told(run.history))


def _table(several: SeveralRuns) -> Markup:
    note = (
        "Percent of greedy answers that are right, in the round that each run reports. p is Holm-corrected for all "
        f"lines of its column, so that the best of them is not picked by luck. {several.is_paired}"
    )
    rows = [
        [
            line.name,
            numbered(line),
            *shares(line),
            *(_cell(*cell(several, line, one)) for one in (line.gain, line.beside)),
            *_spent(line),
        ]
        for line in several.lines
    ]
    return section("All runs", note, table("All runs", ["", *headings(several)[1:], "tokens sampled", "time"], rows))


def _cell(gained: str, interval: str, tested: str) -> Markup:
    return join([el("b", gained), " ", el("small", interval), el("small", tested, class_="against")])


def _spent(line: RunLine) -> list[str]:
    """Of the whole run; sampled tokens of this model."""
    records = line.run.history.records
    tokens = sum(one.sampling.tokens for one in records if one.sampling and one.model == line.model)
    seconds = sum(sum(one.seconds.values()) for one in records)
    return [short(tokens) if tokens else "–", as_duration(seconds) if seconds else "–"]


def _chart(several: SeveralRuns) -> Markup:
    records = {line.name: line.run.history.by_model[line.model] for line in several.lines}
    drawn = curve("runs", "greedy, % right", records, _greedy, style=Style(SHARE))
    note = "With 95 % intervals. A dotted line is the base model of the run in its colour."
    return section("Accuracy by round", note, legend(list(records)), panels([drawn], "wide")) if drawn else Markup("")


def _greedy(record: RoundRecord) -> Any:
    return record.metrics.get("greedy")


def _differences(several: SeveralRuns) -> Markup:
    found = [acting_settings(run.folder) for run in several.runs]
    names = dict.fromkeys(name for settings in found for name in settings if name not in _WHERE)
    # Of a setting that one method has and another has not, nothing differs.
    differ = [name for name in names if len({setting(one[name]) for one in found if name in one}) > 1]
    if not differ:
        return section("Settings", "All runs have the same settings.")
    parts = []
    for start in range(0, len(found), COLUMNS):
        some = slice(start, start + COLUMNS)
        rows = [[name, *(el("span", setting(settings.get(name))) for settings in found[some])] for name in differ]
        parts.append(table("Settings that differ", ["", *several.names[some]], rows))
    return section(
        "Settings", f"Those in which the runs differ; the other {len(names) - len(differ)} are the same.", *parts
    )
