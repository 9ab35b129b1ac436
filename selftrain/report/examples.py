"""Problems before and after: what a gain or a loss looks like in the model's responses."""

from __future__ import annotations

from collections.abc import Sequence

from selftrain.report.changes import LISTED, NEWLY_RIGHT, NEWLY_WRONG, RIGHT_TWICE, WRONG_TWICE, Changes, SolvedExample
from selftrain.report.html_tables import section, table
from selftrain.report.markup import Markup, el

_CLASSES = {NEWLY_RIGHT: "gained", NEWLY_WRONG: "lost", RIGHT_TWICE: "same", WRONG_TWICE: "same"}


def before_and_after(changes: Changes | None) -> Markup:
    """How many problems changed, some in full, and a list of more."""
    if changes is None:
        return Markup("")
    note = f"The same problems, answered by the base model and by round {changes.round}, greedily."
    counts = [
        el("li", el("b", f"{changes.total(change):,}"), f" {change}", class_=_CLASSES[change]) for change in _CLASSES
    ]
    several = len(changes.counts) > 1
    by_model = table(
        "Before and after by model",
        ["", *_CLASSES],
        [[model, *(f"{found.get(change, 0):,}" for change in _CLASSES)] for model, found in changes.counts.items()],
    )
    return section(
        "Before and after",
        note,
        by_model if several else el("ul", *counts, class_="counts"),
        examples_list(changes.examples),
        *(_list(changes, change, several=several) for change in (NEWLY_RIGHT, NEWLY_WRONG)),
    )


def _list(changes: Changes, change: str, *, several: bool) -> Markup:
    """Folded; all of a long list are a command away."""
    if not (found := changes.listed.get(change, ())):
        return Markup("")
    total = changes.total(change)
    which = f"{total:,} {change}" if total <= LISTED else f"{total:,} {change}, of which the first {LISTED} are here"
    rows = [
        [
            el("span", one.question, class_="asked", dir="auto"),
            *([one.model] if several else []),
            *(el("span", "–" if text is None else text, dir="auto") for text in (one.reference, one.before, one.after)),
        ]
        for one in found
    ]
    listed = table(which, ["problem", *(["model"] if several else []), "reference", "answered before", "after"], rows)
    told = el("p", "All of them, in a terminal:", el("pre", changes.command(change), tabindex="0"), class_="reading")
    return el("details", el("summary", which), told, listed, class_="fold long")


def examples_list(examples: Sequence[SolvedExample]) -> Markup:
    """Cards that open on a click; the first two are open."""
    return el("div", *(_card(example, number < 2) for number, example in enumerate(examples)), class_="cards")


def _card(example: SolvedExample, is_open: bool) -> Markup:
    reference = [el("p", "Reference: ", el("b", example.reference, dir="auto"), class_="reference")]
    return el(
        "details",
        el("summary", _change(example), el("span", example.question, class_="question", dir="auto")),
        el("p", example.question, class_="full", dir="auto"),
        *([el("p", "Answered by ", el("b", example.model), class_="reference")] if example.model else []),
        *(reference if example.reference is not None else []),
        el(
            "div",
            _answer("Before", example.before, example.before_right),
            _answer("After", example.after, example.after_right),
            class_="pair",
        ),
        class_="card",
        open="" if is_open else None,
    )


def _change(example: SolvedExample) -> Markup:
    changes = {(False, True): NEWLY_RIGHT, (True, False): NEWLY_WRONG, (True, True): RIGHT_TWICE}
    change = changes.get((example.before_right, example.after_right), WRONG_TWICE)
    return el("span", change, class_=f"badge {_CLASSES[change]}")


def _answer(when: str, text: str, is_right: bool) -> Markup:
    mark = el("span", "✓ right" if is_right else "✗ wrong", class_="gained" if is_right else "lost")
    return el("section", el("h4", when, " ", mark), el("pre", text.strip(), dir="auto", tabindex="0"))
