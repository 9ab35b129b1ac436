"""Problems before and after: what a gain or a loss looks like in the model's responses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from selftrain.report.markup import Markup, el


@dataclass(frozen=True)
class SolvedExample:
    """One problem with two responses: of the base model and of the trained one."""

    question: str
    reference: str | None
    before: str
    after: str
    before_right: bool
    after_right: bool
    #: Whose responses they are; None where there is one model.
    model: str | None = None


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
    words = {
        (False, True): ("gained", "newly right"),
        (True, False): ("lost", "newly wrong"),
        (True, True): ("same", "right twice"),
        (False, False): ("same", "wrong twice"),
    }
    kind, words_ = words[example.before_right, example.after_right]
    return el("span", words_, class_=f"badge {kind}")


def _answer(when: str, text: str, is_right: bool) -> Markup:
    mark = el("span", "✓ right" if is_right else "✗ wrong", class_="gained" if is_right else "lost")
    return el("section", el("h4", when, " ", mark), el("pre", text.strip(), dir="auto", tabindex="0"))
