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
    metrics_of,
    models,
    name_of,
    number,
    p_value,
    percent,
    round_name,
    title,
)

#: In the order in which a round goes through them.
_STAGES = ("sample", "grade", "train", "monitor", "evaluate")


def section(heading: str, note: str, *content: object) -> Markup:
    return el("section", el("h2", heading), el("p", note, class_="note"), *content)


def row_name(rounds: Sequence[Line], line: Line) -> str:
    """ "round 2", or "llama, round 2" where there are several models."""
    name = round_name(line["round"])
    return f"{name_of(line)}, {name}" if len(models(rounds)) > 1 else name


def table(label: str, headings: Sequence[object], rows: Sequence[Sequence[object]]) -> Markup:
    """A table whose first column heads its rows. On a narrow page it scrolls by itself, with the keyboard too."""
    head = el("tr", *(el("th", heading, scope="col") for heading in headings))
    body = [el("tr", el("th", row[0], scope="row"), *(el("td", cell) for cell in row[1:])) for row in rows]
    whole = el("table", el("thead", head), el("tbody", *body))
    return el("div", whole, class_="scroll", role="region", aria_label=label, tabindex="0")


def figures(rounds: Sequence[Line], shown: Sequence[tuple[str, Line, bool]]) -> Markup:
    """Every metric of the rounds shown, with its interval, its difference to the base and the p of that.

    Args:
        shown: name, line, and whether the line is of the best round.
    """
    metrics = all_metrics(line for _, line, _ in shown)
    several = len(models(rounds)) > 1
    rows = [
        [
            f"{name}, " * several + round_name(line["round"]) + " ★" * best,
            *(_figure(metric, line) for metric in metrics),
        ]
        for name, line, best in shown
    ]
    return table("All figures by round", ["", *map(title, metrics)], rows)


def _figure(metric: str, line: Line) -> Markup:
    value, _, interval = estimate(metric, metrics_of(line).get(metric)).partition(" ")
    parts = [el("b", value), " ", el("small", interval)]
    if found := against_base(line).get(metric):
        said = [difference(found)] + ([p_value(found["p_value"])] if "p_value" in found else [])
        parts += [el("small", one, class_="against") for one in said]
    return join(parts)


def fates(drawn: Mapping[str, Mapping[str, Any]]) -> tuple[Markup, Markup]:
    """Kept or why not: bars, and their counts as a table with the legend.

    Args:
        drawn: name of a row -> the "sampling" of a line.
    """
    totals = Counter[str]()
    for sampling in drawn.values():
        totals.update(sampling["drop_reason"])
    reasons = [reason for reason, count in totals.most_common() if count]
    parts = [[("kept", sampling["kept"]), *((r, sampling["drop_reason"].get(r, 0)) for r in reasons)]
             for sampling in drawn.values()]  # fmt: skip
    bars = [
        el(
            "div",
            el("span", row),
            cut_bar(cut, f"{row}: " + ", ".join(f"{count:,} {name}" for name, count in cut)),
            class_="fate",
        )
        for row, cut in zip(drawn, parts, strict=True)
    ]
    swatches = [
        join([el("i", class_=f"swatch p{min(place, COLOURS - 1)}"), name])
        for place, name in enumerate(["kept", *reasons])
    ]
    # Without labels nothing is judged, and there is no such column to leave empty.
    graded = any(sampling.get("mean_reward") is not None for sampling in drawn.values())
    rows = [
        [
            row,
            *_counts(cut),
            number(sampling.get("mean_length"), ",.1f"),
            *(_reward(sampling) if graded else []),
        ]
        for (row, sampling), cut in zip(drawn.items(), parts, strict=True)
    ]
    headings = ["", *swatches, "tokens", *(["mean reward", "problems with a right one"] if graded else [])]
    # Bars that all were kept whole would say nothing.
    return el("div", *bars, class_="fates") if reasons else Markup(""), table("Samples by round", headings, rows)


def _counts(cut: Sequence[tuple[str, int]]) -> list[Markup]:
    whole = sum(count for _, count in cut)
    return [join([f"{count:,} ", el("small", f"{percent(count / whole)} %") if count else ""]) for _, count in cut]


def _reward(sampling: Mapping[str, Any]) -> list[str]:
    solved, problems = sampling.get("problems_with_one_right"), sampling.get("problems")
    share = f" ({percent(solved / problems)} %)" if solved is not None and problems else ""
    return [number(sampling.get("mean_reward"), ".3f"), number(solved, ",") + share]


def training(rounds: Sequence[Line], shown: Sequence[Line]) -> Markup:
    """What each round's training came to, and where the time went."""
    timed = dict.fromkeys(stage for line in rounds for stage in line.get("seconds") or {})
    stages = [stage for stage in _STAGES if stage in timed] + [stage for stage in timed if stage not in _STAGES]
    headings = ["", "examples", "steps", "epochs (best)", "loss, first → last", *(f"{stage}, s" for stage in stages)]
    rows: list[list[object]] = [[row_name(rounds, line), *_trained(line, stages)] for line in shown]
    if len(shown) > 1:
        took = Counter[str]()
        for line in rounds:
            took.update(line.get("seconds") or {})
        rows.append(["whole run", "", "", "", "", *(number(took[stage], ",.1f") for stage in stages)])
    return table("Training by round", headings, rows)


def _trained(line: Line, stages: Sequence[str]) -> list[str]:
    learned, seconds = line.get("training") or {}, line.get("seconds") or {}
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
