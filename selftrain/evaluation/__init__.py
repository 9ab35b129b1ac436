"""How good a model is, and whether it is better than another: metrics with intervals and paired tests.

evaluate.py     samples a model's answers and has them graded; task.py: on what
metrics.py      from graded answers to estimates with 95 % intervals
compare.py      two models on the same problems: paired differences, intervals and tests
sweep.py        the base model by temperature, and a trained one against the best-decoded base
gv_gap.py       the generator-verifier gap; verifier.py: the model as its own verifier
intervals.py    the statistics behind all of them
results.py      what they result in

Imported here is only what needs no numpy, so that settings and reports stay light.
"""

from selftrain.evaluation.evaluate import EvalConfig, evaluate
from selftrain.evaluation.results import Comparison, Estimate, EvalResult, GVGap, Sweep
from selftrain.evaluation.task import EvalTask

__all__ = ["Comparison", "Estimate", "EvalConfig", "EvalResult", "EvalTask", "GVGap", "Sweep", "evaluate"]
