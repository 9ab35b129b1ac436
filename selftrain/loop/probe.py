"""The probe: the validation problems, answered again and again by the live weights."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from selftrain.evaluation import EvalConfig, EvalResult, EvalTask, evaluate
from selftrain.evaluation.metrics import measure
from selftrain.types import Sampler

#: Metrics of `measure` that need no label.
_SIGNALS = ("distinct_answers", "parse_failure_rate", "truncation_rate", "mean_length", "token_entropy", "agreement")


@dataclass(frozen=True)
class Probe:
    """One model's answers to the probe after a round, in numbers.

    Probe(score={"gsm8k/train/3": 1.0, ...}, signals={"mean_length": 31.0, "same_text": 0.02, ...})
    """

    #: Problem id -> the greedy answer's reward, or 1 where it agrees with the consensus, else 0. Problems without a
    #: verdict or a consensus are left out.
    score: Mapping[str, float]
    #: What can be seen without a label: lengths, rates and variety of the answers.
    signals: Mapping[str, float]

    @property
    def mean(self) -> float:
        return sum(self.score.values()) / len(self.score) if self.score else 0.0


def evaluate_probe(sampler: Sampler, task: EvalTask, generations: int) -> list[EvalResult]:
    """One greedy answer and `generations` at temperature 1, untruncated, to every prompt."""
    config = EvalConfig(num_generations_eval=generations, temperature_eval=1.0, top_p_eval=1.0)
    return evaluate(sampler, task, config)


def consensus_answers(samplers: Sequence[Sampler], task: EvalTask, generations: int) -> dict[str, str]:
    """Problem id -> the most frequent of `generations` answers of each model; of equally frequent ones the first."""
    votes: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for sampler in samplers:
        responses = sampler.sample(task.prompts, generations, task.params(1.0), f"{task.key}/consensus")
        for sample in task.graded(responses):
            if sample.score.extracted_answer is not None:
                votes[sample.response.prompt.problem_id][sample.score.extracted_answer] += 1
    return {problem_id: counts.most_common(1)[0][0] for problem_id, counts in votes.items()}


def probe_of(results: Sequence[EvalResult], consensus: Mapping[str, str] | None) -> Probe:
    """
    Args:
        consensus: what the answers are compared with; None scores them by their rewards.
    """
    score = {}
    for result in results:
        if result.greedy is None:
            continue
        if consensus is None and result.greedy.score.value is not None:
            score[result.problem_id] = result.greedy.score.value
        elif consensus is not None and result.problem_id in consensus:
            score[result.problem_id] = float(result.greedy.score.extracted_answer == consensus[result.problem_id])
    return Probe(score, signals(results))


def signals(results: Sequence[EvalResult]) -> dict[str, float]:
    """
    Returns:
        `_SIGNALS`, and `end_rate`, `same_text` (share of problems whose greedy answer is the most frequent text) and
        `duplicate_rate` (share of a problem's samples that repeat an earlier one).
    """
    measured = measure(results)
    found = {name: measured[name].value for name in _SIGNALS if name in measured}
    texts = Counter(result.greedy.response.text.strip() for result in results if result.greedy is not None)
    sampled = [[sample.response.text.strip() for sample in result.sampled] for result in results if result.sampled]
    found["end_rate"] = 1.0 - found.get("truncation_rate", 0.0)
    found["same_text"] = texts.most_common(1)[0][1] / texts.total() if texts else 0.0
    duplicates = [1 - len(set(answers)) / len(answers) for answers in sampled]
    found["duplicate_rate"] = sum(duplicates) / len(duplicates) if duplicates else 0.0
    return found
