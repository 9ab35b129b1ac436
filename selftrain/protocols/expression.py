"""lighteval's extractive match, by math-verify, which began as lighteval's metric and keeps its rules."""

from __future__ import annotations

from functools import cache
from typing import Any

#: Decimal places to which floats are compared.
_PRECISION = 5


def extractive_match(response: str, solution: str) -> float:
    """1.0 if the last expression of `response`, one in a box first, equals the last number of `solution`."""
    import math_verify

    gold_rules, response_rules = _rules()
    gold = math_verify.parse(solution, gold_rules)
    read = math_verify.parse(response, response_rules)
    return float(math_verify.verify(gold or [solution], read, float_rounding=_PRECISION))


@cache
def _rules() -> tuple[list[Any], list[Any]]:
    from latex2sympy2_extended import NormalizationConfig
    from math_verify import ExprExtractionConfig, LatexExtractionConfig

    normalization = NormalizationConfig(
        basic_latex=True, units=True, malformed_operators=True, nits=True, boxed="all", equations=True
    )
    latex = LatexExtractionConfig(boxed_match_priority=0, normalization_config=normalization)
    return [ExprExtractionConfig()], [ExprExtractionConfig(), latex]
