"""Judges: what an answer is worth.

    with open_judge("math") as judge:
        unreadable = self_test(judge, problems)
        scores = judge.grade(responses, {problem.id: problem for problem in problems})

Nothing here imports math-verify, sympy, torch or trl: math-verify runs in a process of its own, and a reward
function brings what it needs.
"""

from selftrain.grading.judge import Judge, self_test
from selftrain.grading.math_judge import MathJudge
from selftrain.grading.reading import read_answer
from selftrain.grading.registry import CONTROLS, open_judge
from selftrain.grading.reward_functions import RewardFunctionJudge

__all__ = ["CONTROLS", "Judge", "MathJudge", "RewardFunctionJudge", "open_judge", "read_answer", "self_test"]
