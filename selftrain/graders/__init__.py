"""Judges: what an answer is worth.

    with open_judge("math") as judge:
        unreadable = self_test(judge, problems)
        scores = judge.grade(responses, {problem.id: problem for problem in problems})

Where there are no labels, `open_reader("math")` reads answers in one spelling without judging them. `controls.py` holds
the judges that stand in for one.

Nothing here imports math-verify, sympy, torch or trl: math-verify runs in a process of its own, and a reward
function brings what it needs.
"""

from selftrain.graders.ablations import ABLATIONS
from selftrain.graders.base import Grader, self_test
from selftrain.graders.code.grader import CodeGrader
from selftrain.graders.extract import read_answer
from selftrain.graders.math.grader import MathGrader
from selftrain.graders.reader import AnswerReader, canonical, open_reader
from selftrain.graders.registry import grader_names, open_grader
from selftrain.graders.rewards.functions import RewardFunctionGrader

__all__ = [
    "ABLATIONS",
    "AnswerReader",
    "CodeGrader",
    "Grader",
    "MathGrader",
    "RewardFunctionGrader",
    "canonical",
    "grader_names",
    "open_grader",
    "open_reader",
    "read_answer",
    "self_test",
]
