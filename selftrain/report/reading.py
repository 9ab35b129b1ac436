"""What the numbers of a page mean: only those that this run has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from selftrain.report.choice import best_round, chosen_by
from selftrain.report.records import Line, all_metrics, evaluated
from selftrain.report.team import MEAN, together


def reading(rounds: Sequence[Line], settings: Mapping[str, Any]) -> dict[str, str]:
    return dict(_always(rounds, settings)) | dict(_sometimes(rounds)) | {
        "not in the intervals": "They hold the chance of the problems, not that of the training: another seed would "
        "give another model."
    }  # fmt: skip


def _always(rounds: Sequence[Line], settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "greedy", "Share of problems whose most likely answer is right: one answer a problem, at temperature 0."
    drawn = ""
    if "temperature_eval" in settings:
        drawn = f" Here drawn at temperature {settings['temperature_eval']}, top-p {settings.get('top_p_eval', 1)}."
    yield (
        "pass@k",
        "Chance that at least one of k drawn answers is right, by the unbiased estimator (Chen et al. 2021)." + drawn,
    )
    yield (
        "maj@k",
        "Share of problems whose most frequent drawn answer is right. Answers that could not be read have no vote, "
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
    none = "" if best_round(rounds) else " No round did better than the base model, so the base model is kept as best."
    yield "the round spoken of", f"Chosen as {chosen_by(rounds)}.{none}"


def _sometimes(rounds: Sequence[Line]) -> Iterator[tuple[str, str]]:
    metrics = all_metrics(evaluated(rounds))
    if any(line.get("validated_by") == "consensus" for line in rounds):
        yield (
            "agreement with the consensus",
            "Share of greedy answers on D_val that are the untouched models' most frequent answer, asked once before "
            "round 1. No label is looked at.",
        )
    if "agreement" in metrics:
        yield "self-agreement", "Share of a problem's drawn answers that give its most frequent one."
    if "token_entropy" in metrics:
        yield "entropy", "Mean of −log p over the drawn tokens, in nats: how unsure the model is of its next token."
    if found := together(rounds):
        yield (
            next(iter(found)) if len(found) == 1 else "all models together",
            "In turn: each reads the answers before its own, and the last one counts; each model is last equally "
            f"often. The vote is of the models' greedy answers given alone. The {MEAN} is a plain mean; its interval "
            "and its test would need the paired answers.",
        )
    if any(line.get("sweep") for line in rounds):
        yield (
            "best-decoded base",
            "The untouched model at its best sampling temperature, top-p and top-k off. Each half of the problems is "
            "measured at the temperature that is best on the other half.",
        )
    if any(line.get("gv_gap") for line in rounds):
        yield (
            "generator-verifier gap",
            "How much more accurate the better half of a model's answers is than all of them, when the model itself "
            "says which half is better (Song et al., arXiv 2412.02674). A percentage is given only where the gap "
            "before is clearly above 0.",
        )
