"""How good a model is, and whether it is better than another: numbers that come with their uncertainty.

evaluate.py     asks a model and has the answers judged
metrics.py      from judged answers to estimates with 95 % intervals
compare.py      two models on the same problems: paired differences, intervals and tests
sweep.py        the untouched model by temperature, and a trained one against the best-decoded
gv_gap.py       the generator-verifier gap; verifier.py asks the model for it
intervals.py    the statistics behind all of them
"""

from selftrain.evaluation.compare import Comparison, compare
from selftrain.evaluation.evaluate import EvalConfig, evaluate
from selftrain.evaluation.gv_gap import GVGap, Reduction, gap_of, reduction
from selftrain.evaluation.metrics import RIGHT, Estimate, EvalResult, measure
from selftrain.evaluation.sweep import Sweep, against_best_decoded, best_of, sweep
from selftrain.evaluation.verifier import ask_verifier, measure_gv_gap

__all__ = [
    "RIGHT",
    "EvalResult",
    "Comparison",
    "Estimate",
    "EvalConfig",
    "GVGap",
    "Reduction",
    "Sweep",
    "against_best_decoded",
    "ask_verifier",
    "best_of",
    "compare",
    "evaluate",
    "gap_of",
    "measure",
    "measure_gv_gap",
    "reduction",
    "sweep",
]
