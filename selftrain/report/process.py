"""The page's sections on how a run went: what became of the samples, and the training.

A few rounds are told one by one. Of hundreds there are curves, one bar for the whole run, and a folded table of some.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from selftrain.report.charts import Chart, Point, Series
from selftrain.report.choice import best_round, thinned
from selftrain.report.curves import PLAIN, SHARE, Value, at, curve, legend, panels, unit_of
from selftrain.report.markup import Markup, el
from selftrain.report.records import Line, by_model, models, number
from selftrain.report.tables import fates, row_name, section, training

#: Lines that are told one by one at most.
_FEW = 12
_FACTS = {
    "temperature": "sampling temperature",
    "agreement": "agree with the last answer, %",
    "mean_weight": "mean weight of an example",
    "mean_pmi": "mean PMI with the last answer, nats",
}


def samples(rounds: Sequence[Line]) -> Markup:
    drawn = [line for line in rounds if line.get("sampling")]
    if not drawn:
        return Markup("")
    charts = [chart for chart in _facts(rounds) if len(chart.steps) > 1]
    note = "Every answer drawn for training was kept, or was not for one reason."
    if all(line["sampling"].get("mean_reward") is None for line in drawn):
        note += " The method looks at no labels, so none of them was called right or wrong."
    if len(drawn) <= _FEW:
        bars, table = fates(_named(rounds, drawn))
        content, fold = (bars, table), Markup("")
    else:
        charts = [*_sampling(rounds, drawn), *charts]
        bars, table = fates(_summed(drawn))
        _, some = fates(_named(rounds, _some(rounds, drawn)))
        content, fold = (bars, table), _fold("Samples by round", rounds, drawn, some)
        note += " Counted over the whole run; its rounds are in the curves."
    drawings = (legend(models(rounds)), panels(charts, "small")) if charts else ()
    return section("What became of the samples", note, *content, *drawings, fold)


def _sampling(rounds: Sequence[Line], drawn: Sequence[Line]) -> Iterator[Chart]:
    lines = by_model(drawn)
    wanted = [
        *([("kept, %", _share("kept"), SHARE)] if any(line["sampling"]["drop_reason"] for line in drawn) else []),
        ("mean reward", at("sampling", "mean_reward"), PLAIN),
        ("tokens a sample", at("sampling", "mean_length"), PLAIN),
        ("cut off, %", _share("truncated"), SHARE),
    ]
    for place, (title, value, unit) in enumerate(wanted):
        chart = curve(f"sampling-{place}", title, lines, value, unit, level=False, smooth=True)
        if chart is not None:
            yield chart


def _share(name: str) -> Value:
    """Of the answers drawn."""

    def share(line: Line) -> float | None:
        counts = line["sampling"]
        return counts[name] / counts["drawn"] if counts["drawn"] and name in counts else None

    return share


def _facts(rounds: Sequence[Line]) -> Iterator[Chart]:
    """What the method told of its rounds. Where it is the same for all models, there is one line of it."""
    told = by_model([line for line in rounds if line.get("method_metrics")])
    for place, name in enumerate(
        dict.fromkeys(name for of in told.values() for line in of for name in line["method_metrics"])
    ):
        by_round = [{line["round"]: line["method_metrics"].get(name) for line in of} for of in told.values()]
        same = all(values == by_round[0] for values in by_round)
        lines = {"all": next(iter(told.values()))} if same else told
        unit = unit_of(name)
        heading = _FACTS.get(name, name)
        chart = curve(f"fact-{place}", heading, lines, at("method_metrics", name), unit, level=False, smooth=True)
        if chart is not None:
            yield chart


def _named(rounds: Sequence[Line], lines: Sequence[Line]) -> dict[str, Mapping[str, Any]]:
    return {row_name(rounds, line): line["sampling"] for line in lines}


def _summed(drawn: Sequence[Line]) -> dict[str, Mapping[str, Any]]:
    """All of a run's samples, by model."""
    lines, summed = by_model(drawn), dict[str, Mapping[str, Any]]()
    for model, of in lines.items():
        total, drop_reason, length = Counter[str](), Counter[str](), 0.0
        for sampling in (line["sampling"] for line in of):
            total.update({"drawn": sampling["drawn"], "kept": sampling["kept"]})
            drop_reason.update(sampling["drop_reason"])
            length += (sampling.get("mean_length") or 0.0) * sampling["drawn"]
        mean = length / total["drawn"] if total["drawn"] and length else None
        summed[model if len(lines) > 1 else "all rounds"] = total | {"drop_reason": drop_reason, "mean_length": mean}
    return summed


def trainings(rounds: Sequence[Line]) -> Markup:
    trained = [line for line in rounds if line.get("training")]
    if not trained:
        return Markup("")
    told = [line for line in rounds if line["round"] and not line.get("together")]
    content, note = [], ""
    if len(told) <= _FEW:
        content.append(training(rounds, told))
    else:
        charts = list(_training(trained))
        content += [legend(models(rounds)), panels(charts, "small")]
        content.append(_fold("Training by round", rounds, told, training(rounds, _some(rounds, told))))
        note = "The loss falls in a collapse too: it tells whether training works, not whether the model gets better. "
    if validation_passes := list(_yardsticks(rounds, _some(rounds, trained)[:_FEW])):
        content += [el("h3", "Reward on the validation problems, by epoch"), panels(validation_passes, "small")]
        note += "Epoch 0 is the weights that training started from; the ring marks the epoch that was kept."
    return section("Training", note, *content)


def _training(trained: Sequence[Line]) -> Iterator[Chart]:
    lines = by_model(trained)
    names = {"loss_last": "loss at the end of the round", "examples": "examples", "seconds": "seconds of training"}
    for name, title in names.items():
        chart = curve(f"training-{name}", title, lines, at("training", name), PLAIN, level=False, smooth=True)
        if chart is not None:
            yield chart


def _yardsticks(rounds: Sequence[Line], trained: Sequence[Line]) -> Iterator[Chart]:
    for place, line in enumerate(trained):
        learned = line.get("training") or {}
        if values := learned.get("validation_metric"):
            name = row_name(rounds, line)
            yield Chart(
                id=f"yardstick-{place}",
                title=name,
                describe=f"Validation reward of {name} by epoch: {', '.join(number(v, '.3f') for v in values)}",
                steps=tuple(map(str, range(len(values)))),
                series=(
                    Series(name, tuple(Point(i, v, ring=i == learned.get("best_epoch")) for i, v in enumerate(values))),
                ),
                say=lambda reward: f"{reward:.3f}",
                scale=1,
                span=0.05,
            )


def _some(rounds: Sequence[Line], lines: Sequence[Line]) -> list[Line]:
    shown = thinned((line["round"] for line in lines), keep=[best_round(rounds)])
    return [line for line in lines if line["round"] in shown]


def _fold(heading: str, rounds: Sequence[Line], lines: Sequence[Line], table: Markup) -> Markup:
    few, every = (len({line["round"] for line in of}) for of in (_some(rounds, lines), lines))
    which = f"{heading}: {few} of {every} rounds" if few < every else heading
    return el("details", el("summary", which), table, class_="fold")
