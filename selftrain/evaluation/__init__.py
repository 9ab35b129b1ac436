"""How good a model is, and whether it is better than another: numbers that come with their uncertainty.

evaluate.py     asks a model and has the answers judged
metrics.py      from judged answers to estimates with 95 % intervals
compare.py      two models on the same problems: paired differences, intervals and tests
intervals.py    the statistics behind both
"""

from selftrain.evaluation.compare import Comparison, compare
from selftrain.evaluation.evaluate import Evaluation, evaluate
from selftrain.evaluation.metrics import RIGHT, Answered, Estimate, measure

__all__ = ["RIGHT", "Answered", "Comparison", "Estimate", "Evaluation", "compare", "evaluate", "measure"]
