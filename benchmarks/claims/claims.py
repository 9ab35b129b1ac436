"""What the papers claim, and how each claim is told from the runs: as a paired difference over the same problems."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

When = Literal["base", "last"]
Side = tuple[str, When]


@dataclass(frozen=True)
class Claim:
    """`left` is better than `right` in `metric`.

    Claim("REST-GAIN", "rest-em", "fine-tuning on ... helps", "+6.3 points", ("rest-em", "last"), ("rest-em", "base"))
    """

    name: str
    method: str
    says: str
    number: str
    left: Side
    right: Side
    metric: str = "greedy"
    #: Only this model's answers count, where an arm has several.
    model: str | None = None

    @property
    def arms(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((self.left[0], self.right[0])))


def _gain(name: str, method: str, says: str, number: str, metric: str = "greedy") -> Claim:
    return Claim(name, method, says, number, (method, "last"), (method, "base"), metric)


def _against(
    name: str, method: str, says: str, number: str, other: str, metric: str = "greedy", model: str | None = None
) -> Claim:
    return Claim(name, method, says, number, (method, "last"), (other, "last"), metric, model)


CLAIMS = (
    _gain("rest-gain", "rest-em", "three rounds beat the base model, greedy", "+5.9 and +6.3 (MATH)"),
    _gain("rest-gain-pass@1", "rest-em", "the same at temperature 1", "not stated", "pass@1"),
    *(
        _gain(f"rest-pass@{k}", "rest-em", f"pass@{k} rises as well", "gains at every k shown", f"pass@{k}")
        for k in (2, 4)
    ),
    _against(
        "rest-rounds",
        "rest-em",
        "3 rounds beat 1 round with 3 times the samples",
        "41.9 against 40.3",
        "rest-em one round, 3x samples",
    ),
    Claim(
        "rest-human",
        "rest-em",
        "one model solution a problem beats one human solution a problem",
        "bars only",
        ("rest-em one model solution", "last"),
        ("rest-em one human solution", "last"),
    ),
    _against(
        "rest-restart",
        "rest-em",
        "restart from base beats going on from the last round",
        "similar; better on transfer",
        "rest-em continued",
    ),
    Claim(
        "rest-cap",
        "rest-em",
        "a cap (3 of 8; the paper: 10 of 32) beats none",
        "not measured",
        ("rest-em cap 3", "last"),
        ("rest-em", "last"),
    ),
    _gain("sept-gain", "sept", "pass@1 at temperature 1 rises", "12.6 to 39.9 (Qwen2.5-Math-7B)", "pass@1"),
    _gain("sept-greedy", "sept", "greedy rises as well", "23.5 to 43.0", "greedy"),
    Claim(
        "sept-decoding",
        "sept",
        "pass@1 beats the best-decoded base",
        "39.8 against 23.6",
        ("sept", "last"),
        ("sept", "base"),
        "best-decoded",
    ),
    _against(
        "sept-online",
        "sept",
        "online beats offline, all else equal",
        "77.2 against 47.6 (MATH-500, more differs)",
        "sept offline",
        "pass@1",
    ),
    _against(
        "sept-coupled",
        "sept",
        "decoupled temperatures beat coupled ones",
        "77.2 against 45.4 (MATH-500)",
        "sept coupled",
        "pass@1",
    ),
    _gain("pst-gain", "pst", "each model's exact match rises, mean over the models", "+2.2 to +4.3"),
    *(
        Claim(
            f"pst-gain-{model}",
            "pst",
            f"exact match of {model} alone",
            "+2.2 to +4.3",
            ("pst", "last"),
            ("pst", "base"),
            model=model,
        )
        for model in ("llama", "qwen2", "gemma2")
    ),
    Claim(
        "pst-gap",
        "pst",
        "the generator-verifier gap shrinks",
        "-26 % to -40 %",
        ("pst", "base"),
        ("pst", "last"),
        "gv_gap",
    ),
    _against("pst-weights", "pst", "PMI weights beat weights of 1", "unknown", "pst weights 1"),
    _against(
        "pst-shuffled", "pst", "PMI weights beat the same weights dealt at random", "unknown", "pst weights shuffled"
    ),
    _against(
        "pst-target-B",
        "pst",
        "training on the aggregate (A) beats training on one's own answer (B)",
        "unknown",
        "pst own answer (B)",
    ),
    _against(
        "pst-target-C",
        "pst",
        "A beats one's own answer in its own context (C)",
        "unknown",
        "pst own answer in context (C)",
    ),
    _against("pst-alone", "pst", "beats self-training alone (llama)", "unknown", "alone", model="llama"),
    Claim(
        "pst-majority",
        "pst",
        "the models' mean beats the base models' majority vote",
        "unknown",
        ("pst", "last"),
        ("pst", "base"),
        "against-majority",
    ),
)
