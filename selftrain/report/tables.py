"""The page's tables: all figures, the fate of the samples, the training, the settings."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from selftrain.report.charts import COLOURS, cut_bar
from selftrain.report.markup import Markup, el, join
from selftrain.report.records import (
    Line,
    against_base,
    all_metrics,
    difference,
    estimate,
    is_accuracy,
    metrics_of,
    models,
    number,
    p_value,
    percent,
    round_name,
)

#: In the order in which a round goes through them.
_STAGES = ("sample", "grade", "learn", "evaluate")


def row_name(rounds: Sequence[Line], line: Line) -> str:
    """ "round 2", or "llama, round 2" where there are several models."""
    name = round_name(line["round"])
    return f"{line['model']}, {name}" if len(models(rounds)) > 1 else name


def table(label: str, headings: Sequence[object], rows: Sequence[Sequence[object]]) -> Markup:
    """A table whose first column heads its rows. On a narrow page it scrolls by itself, with the keyboard too."""
    head = el("tr", *(el("th", heading, scope="col") for heading in headings))
    body = [el("tr", el("th", row[0], scope="row"), *(el("td", cell) for cell in row[1:])) for row in rows]
    whole = el("table", el("thead", head), el("tbody", *body))
    return el("div", whole, class_="scroll", role="region", aria_label=label, tabindex="0")


def figures(rounds: Sequence[Line]) -> Markup:
    """Every metric of every round, with its interval, its difference to the base and the p of that."""
    metrics = all_metrics(rounds)
    titles = {"parse_failure_rate": "unread, %", "truncation_rate": "cut off, %", "mean_length": "tokens",
              "distinct_answers": "distinct answers"}  # fmt: skip
    headings = ["", *(f"{metric}, %" if is_accuracy(metric) else titles.get(metric, metric) for metric in metrics)]
    rows = [[row_name(rounds, line), *(_figure(metric, line) for metric in metrics)] for line in rounds]
    return table("All figures by round", headings, rows)


def _figure(metric: str, line: Line) -> Markup:
    value, _, interval = estimate(metric, metrics_of(line).get(metric)).partition(" ")
    parts = [el("b", value), " ", el("small", interval)]
    if found := against_base(line).get(metric):
        parts += [el("small", said, class_="against") for said in (difference(found), p_value(found["p_value"]))]
    return join(parts)


def fates(rounds: Sequence[Line]) -> Markup:
    """Kept or why not, for the samples of each round: bars, with their legend and their counts as a table."""
    drawn = [line for line in rounds if line.get("sampling")]
    totals = Counter[str]()
    for line in drawn:
        totals.update(line["sampling"]["why_not"])
    reasons = [reason for reason, count in totals.most_common() if count]
    parts = [[("kept", line["sampling"]["kept"]), *((r, line["sampling"]["why_not"].get(r, 0)) for r in reasons)]
             for line in drawn]  # fmt: skip
    bars = [
        el(
            "div",
            el("span", row_name(rounds, line)),
            cut_bar(cut, f"{row_name(rounds, line)}: " + ", ".join(f"{count:,} {name}" for name, count in cut)),
            class_="fate",
        )
        for line, cut in zip(drawn, parts, strict=True)
    ]
    swatches = [
        join([el("i", class_=f"swatch p{min(place, COLOURS - 1)}"), name])
        for place, name in enumerate(["kept", *reasons])
    ]
    rows = [
        [row_name(rounds, line), *_counts(cut), *_reward(line["sampling"])]
        for line, cut in zip(drawn, parts, strict=True)
    ]
    headings = ["", *swatches, "mean reward", "problems with a right one"]
    return join([el("div", *bars, class_="fates"), table("Samples by round", headings, rows)])


def _counts(cut: Sequence[tuple[str, int]]) -> list[Markup]:
    whole = sum(count for _, count in cut)
    return [join([f"{count:,} ", el("small", f"{percent(count / whole)} %") if count else ""]) for _, count in cut]


def _reward(sampling: Mapping[str, Any]) -> list[str]:
    solved, problems = sampling.get("problems_with_one_right"), sampling.get("problems")
    share = f" ({percent(solved / problems)} %)" if solved is not None and problems else ""
    return [number(sampling.get("mean_reward"), ".3f"), number(solved, ",") + share]


def training(rounds: Sequence[Line]) -> Markup:
    """What each round's training came to, and where the time went."""
    timed = dict.fromkeys(stage for line in rounds for stage in line.get("seconds") or {})
    stages = [stage for stage in _STAGES if stage in timed] + [stage for stage in timed if stage not in _STAGES]
    headings = ["", "examples", "steps", "epochs (best)", "loss, first → last", *(f"{stage}, s" for stage in stages)]
    return table("Training by round", headings, [[row_name(rounds, line), *_trained(line, stages)] for line in rounds])


def _trained(line: Line, stages: Sequence[str]) -> list[str]:
    learned, seconds = line.get("learning") or {}, line.get("seconds") or {}
    of = learned.get
    return [
        number(of("examples"), ","),
        number(of("steps"), ","),
        f"{number(of('epochs'))} ({number(of('best_epoch'))})" if learned else "–",
        f"{number(of('loss_first'), '.3f')} → {number(of('loss_last'), '.3f')}" if learned else "–",
        *(number(seconds.get(stage), ",.1f") for stage in stages),
    ]


def facts(values: Mapping[str, Any]) -> Markup:
    """Nested settings as one list of names and values; `a: {b: 1}` is shown as a.b and 1."""
    return el("dl", *(el("div", el("dt", name), el("dd", value)) for name, value in _flat(values)), class_="facts")


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield (
                f"{prefix}{name}",
                value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str),
            )
