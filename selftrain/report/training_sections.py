"""The page's sections on how a run went: what became of the samples, and the training.

A few rounds have a row each. Of hundreds there are curves, one bar for the whole run, and a folded table of some.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from selftrain.report.charts import Chart, Point, Series
from selftrain.report.curves import EVERY_ROUND, SHARE, curve, legend, panels, unit_of
from selftrain.report.figure_rows import spread
from selftrain.report.formatting import number
from selftrain.report.history import RunHistory
from selftrain.report.html_tables import row_name, samples_table, section, training_table
from selftrain.report.markup import Markup, el
from selftrain.report.round_record import RoundRecord, SamplingSummary
from selftrain.training.base import TrainingReport

#: Records that have a row each, at most.
_FEW = 12
_METHOD_METRICS = {
    "temperature": "sampling temperature",
    "agreement": "agree with the last answer, %",
    "mean_weight": "mean weight of an example",
    "mean_pmi": "mean PMI with the last answer, nats",
}
_SHARES = replace(EVERY_ROUND, unit=SHARE)


def samples(history: RunHistory) -> Markup:
    records = [record for record in history.records if record.sampling is not None]
    if not records:
        return Markup("")
    charts = [chart for chart in _method_charts(history) if len(chart.steps) > 1]
    note = "Every answer sampled for training was kept, or was not for one reason."
    if all(summary.mean_reward is None for summary in _by_row(history, records).values()):
        note += " The method looks at no labels, so none of them was called right or wrong."
    if len(records) <= _FEW:
        content, fold = samples_table(_by_row(history, records)), Markup("")
    else:
        charts = [*_sampling_charts(history), *charts]
        content = samples_table(_whole_run(history))
        _, some = samples_table(_by_row(history, _some(history, records)))
        fold = _fold("Samples by round", history, records, some)
        note += " Counted over the whole run; its rounds are in the curves."
    drawings = (legend(history.models), panels(charts, "small")) if charts else ()
    return section("What became of the samples", note, *content, *drawings, fold)


def _by_row(history: RunHistory, records: Sequence[RoundRecord]) -> dict[str, SamplingSummary]:
    return {row_name(history, record): record.sampling for record in records if record.sampling is not None}


def _whole_run(history: RunHistory) -> dict[str, SamplingSummary]:
    several = len(history.models) > 1
    return {
        model if several else "all rounds": SamplingSummary.total([r.sampling for r in records if r.sampling])
        for model, records in history.by_model.items()
    }


def _sampling_charts(history: RunHistory) -> Iterator[Chart]:
    wanted = [
        ("kept, %", _of_sampling(lambda s: s.kept / s.samples if s.samples else None), _SHARES),
        ("mean reward", _of_sampling(lambda s: s.mean_reward), EVERY_ROUND),
        ("tokens a sample", _of_sampling(lambda s: s.mean_length), EVERY_ROUND),
        ("cut off, %", _of_sampling(lambda s: s.truncated / s.samples if s.samples else None), _SHARES),
    ]
    if not any(record.sampling.drop_reasons for record in history.records if record.sampling):
        wanted = wanted[1:]
    for place, (title, value_of, style) in enumerate(wanted):
        chart = curve(f"sampling-{place}", title, history.by_model, value_of, style=style)
        if chart is not None:
            yield chart


def _of_sampling(value_of: Callable[[SamplingSummary], float | None]) -> Callable[[RoundRecord], float | None]:
    return lambda record: None if record.sampling is None else value_of(record.sampling)


def _method_charts(history: RunHistory) -> Iterator[Chart]:
    """The method's own metrics. One that is the same for all models has one line."""
    metrics = dict.fromkeys(name for record in history.records for name in record.method_metrics)
    for place, metric in enumerate(metrics):
        values = [{r.round: r.method_metrics.get(metric) for r in records} for records in history.by_model.values()]
        lines = history.by_model
        if all(of_model == values[0] for of_model in values):
            lines = {"all": next(iter(lines.values()))}
        chart = curve(
            f"method-{place}",
            _METHOD_METRICS.get(metric, metric),
            lines,
            lambda record, metric=metric: record.method_metrics.get(metric),  # type: ignore[misc]
            style=replace(EVERY_ROUND, unit=unit_of(metric)),
        )
        if chart is not None:
            yield chart


def trainings(history: RunHistory) -> Markup:
    trained = [record for record in history.records if record.training is not None]
    if not trained:
        return Markup("")
    records = [record for record in history.records if record.round and not record.team]
    content, note = [], ""
    if len(records) <= _FEW:
        content.append(training_table(history, records))
    else:
        some = _some(history, records)
        content += [legend(history.models), panels(list(_training_charts(history)), "small")]
        content.append(_fold("Training by round", history, records, training_table(history, some)))
        note = "The loss falls in a collapse too: it shows whether training works, not whether the model gets better. "
    if charts := list(_validation_charts(history, _some(history, trained)[:_FEW])):
        content += [el("h3", "Reward on the validation problems, by epoch"), panels(charts, "small")]
        note += "Epoch 0 is the weights that training started from; the ring marks the epoch that was kept."
    return section("Training", note, *content)


def _training_charts(history: RunHistory) -> Iterator[Chart]:
    wanted: list[tuple[str, Callable[[TrainingReport], float]]] = [
        ("loss at the end of the round", lambda report: report.loss_last),
        ("examples", lambda report: report.examples),
    ]
    for place, (title, value_of) in enumerate(wanted):
        chart = curve(
            f"training-{place}",
            title,
            history.by_model,
            lambda record, value_of=value_of: None if record.training is None else value_of(record.training),  # type: ignore[misc]
            style=EVERY_ROUND,
        )
        if chart is not None:
            yield chart


def _validation_charts(history: RunHistory, records: Sequence[RoundRecord]) -> Iterator[Chart]:
    for place, record in enumerate(records):
        if record.training is None or not (values := record.training.validation_metric):
            continue
        name, best = row_name(history, record), record.training.best_epoch
        yield Chart(
            id=f"validation-{place}",
            title=name,
            describe=f"Validation reward of {name} by epoch: {', '.join(number(value, '.3f') for value in values)}",
            steps=tuple(map(str, range(len(values)))),
            series=(Series(name, tuple(Point(i, value, ring=i == best) for i, value in enumerate(values))),),
            text=lambda reward: f"{reward:.3f}",
            scale=1,
            span=0.05,
        )


def _some(history: RunHistory, records: Sequence[RoundRecord]) -> list[RoundRecord]:
    shown = spread((record.round for record in records), keep=[history.best_round])
    return [record for record in records if record.round in shown]


def _fold(heading: str, history: RunHistory, records: Sequence[RoundRecord], table: Markup) -> Markup:
    few, every = (len({record.round for record in of}) for of in (_some(history, records), records))
    which = f"{heading}: {few} of {every} rounds" if few < every else heading
    return el("details", el("summary", which), table, class_="fold")
