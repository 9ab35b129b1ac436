"""What the numbers of a page mean: only those that this run has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from selftrain.report.history import RunHistory
from selftrain.report.team import MEAN, team_rows

_NOT_IN_INTERVALS = (
    "not in the intervals",
    "They hold the chance of the problems, not that of the training: another seed would give another model.",
)


def glossary(history: RunHistory, settings: Mapping[str, Any]) -> dict[str, str]:
    """Term -> its meaning."""
    return dict([*_always(history, settings), *_sometimes(history), _NOT_IN_INTERVALS])


def _always(history: RunHistory, settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "greedy", "Share of problems whose most likely answer is right: one answer a problem, at temperature 0."
    sampled = ""
    if "temperature_eval" in settings:
        sampled = f" Here sampled at temperature {settings['temperature_eval']}, top-p {settings.get('top_p_eval', 1)}."
    yield (
        "pass@k",
        "Chance that at least one of k sampled answers is right, by the unbiased estimator (Chen et al. 2021)."
        + sampled,
    )
    yield (
        "maj@k",
        "Share of problems whose most frequent sampled answer is right. Answers that could not be read have no vote, "
        "ties count in part.",
    )
    yield (
        "[low, high]",
        "95 % interval over problems: Wilson's for shares, at the effective number of trials where a problem has "
        "several answers; Tango's for a greedy difference, the paired bootstrap for other differences.",
    )
    yield (
        "p",
        "Two-sided and paired, problem by problem: McNemar's exact test for greedy, a sign-flip permutation test for "
        "the others. In the verdict it is Holm-corrected for all rounds compared, greedy and pass@1 each by itself; "
        "elsewhere it is that of one test.",
    )
    if history.headline_round is not None:
        base = "" if history.best_round else " No round did better than the base model, which is kept as best."
        yield "the headline round", f"Chosen as {history.chosen_by}.{base}"


def _sometimes(history: RunHistory) -> Iterator[tuple[str, str]]:
    if history.validated_by == "consensus":
        yield (
            "agreement with the consensus",
            "Share of greedy answers to the validation problems that are the base models' most frequent answer, which "
            "was sampled once before round 1. No label is looked at.",
        )
    if "agreement" in history.metrics:
        yield "self-agreement", "Share of a problem's sampled answers that give its most frequent one."
    if "token_entropy" in history.metrics:
        yield "entropy", "Mean of −log p over the sampled tokens, in nats: how unsure the model is of its next token."
    if rows := team_rows(history):
        yield (
            next(iter(rows)) if len(rows) == 1 else "all models together",
            "In turn: each reads the answers before its own, and the last one counts; each model is last equally "
            f"often. The vote is of the models' greedy answers given alone. The {MEAN} is a plain mean; its interval "
            "and its test would need the paired answers.",
        )
    if any(record.sweep for record in history.records):
        yield (
            "best-decoded base",
            "The base model at its best sampling temperature, without top-k. Each half of the problems is measured at "
            "the temperature that is best on the other half.",
        )
    if any(record.gv_gap for record in history.records):
        yield (
            "generator-verifier gap",
            "How much more accurate the better half of a model's answers is than all of them, when the model itself "
            "says which half is better (Song et al., arXiv 2412.02674). A percentage is given only where the gap "
            "before is clearly above 0.",
        )
