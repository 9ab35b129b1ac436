"""What the work of a run costs: seconds, GPU-hours, disk and network."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from selftrain.errors import SettingsError
from selftrain.sizing.assumptions import Assumptions
from selftrain.sizing.ghosts import Asked
from selftrain.sizing.plan import Plan
from selftrain.sizing.units import mean_of_longest, waves
from selftrain.sizing.work import Work, work_of

#: Tokens of one batch of texts that are scored, as the engine has it.
SCORE_TOKENS = 4096


@dataclass(frozen=True)
class Cost:
    """
    Cost(work={"samples": Work(...), ...}, seconds={"sampling": 61200.0, ...}, disk={"weights": 8.4e10, ...},
         network=0.0, gpus=8, completion_tokens=400)
    """

    #: As `work_of` gives it.
    work: Mapping[str, Work]
    #: By what it is spent on; one after the other, as a run does it.
    seconds: Mapping[str, float]
    #: Bytes at the end of the run, by what they hold; "to go on from" are there at most, and gone at the end.
    disk: Mapping[str, float]
    #: Bytes sent to samplers.
    network: float
    gpus: int
    #: Tokens of an answer.
    completion_tokens: int

    @property
    def hours(self) -> float:
        return sum(self.seconds.values()) / 3600

    @property
    def gpu_hours(self) -> float:
        """All GPUs are held from first to last, also where some have nothing to do."""
        return self.hours * self.gpus

    @property
    def sampled_tokens(self) -> float:
        return self.completion_tokens * sum(work.answers for work in self.work.values())

    @property
    def trained_tokens(self) -> float:
        return sum(work.trained_tokens for work in self.work.values())


def gpus_needed(params: Sequence[float], given: Assumptions) -> int:
    """How many GPUs hold all models in training."""
    return math.ceil(sum(params) * given.trained_bytes / (1e9 * given.memory_gb * given.usable_memory))


def cost_of(plan: Plan, params: Sequence[float], gpus: int, given: Assumptions, works: Mapping[str, Work]) -> Cost:
    """
    Args:
        params: weights of each model; their mean stands for all where work is shared.
        works: what `work_of` gave for this plan.

    Raises:
        SettingsError: the models in training do not fit into the memory of so many GPUs.
    """
    needed = gpus_needed(params, given)
    if gpus < needed:
        raise SettingsError(
            f"gpus is {gpus}",
            f"{sum(params):,.0f} weights in training take {given.trained_bytes:g} bytes each, which {needed} GPUs hold",
            f"give --gpus {needed} or more, or smaller models",
        )
    return _Costing(plan, params, gpus, given, needed).of(works)


def size(plan: Plan, params: Sequence[float], gpus: int, given: Assumptions) -> Cost:
    """What a run costs, from its settings alone. Raises as `cost_of`."""
    works = work_of(plan, given.question_tokens, given.completion_tokens, given.share_right)
    return cost_of(plan, params, gpus, given, works)


class _Costing:
    def __init__(self, plan: Plan, params: Sequence[float], gpus: int, given: Assumptions, needed: int) -> None:
        self._plan, self._given, self._gpus = plan, given, gpus
        self._all, self._one = sum(params), sum(params) / len(params)
        self._peak_float32 = 1e12 * given.peak_tflops_float32
        self._peak = 1e12 * given.peak_tflops if plan.bf16 else self._peak_float32
        self._read = given.read_bytes_bf16 if plan.bf16 else given.read_bytes
        self._length = min(given.completion_tokens, plan.method.sampling.max_completion_length)
        # A place is a group of GPUs that holds all it needs, and works by itself.
        held = max(params) * given.weights_bytes / (1e9 * given.memory_gb * given.usable_memory)
        self._sampling_group, self._training_group = max(1, math.ceil(held)), max(1, needed)

    def of(self, works: Mapping[str, Work]) -> Cost:
        work = list(works.values())
        seconds = {
            "sampling": sum(self._sampling(asked) for one in work for asked in one.asked),
            "scoring": sum(self._scoring(one.scored_tokens) for one in work),
            "training": self._training(works["samples"]),
            "sending weights": self._sent() / self._machines_beside() / (1e9 * self._given.network_gb),
            "judging and writing": self._given.own_seconds * sum(one.graded for one in work),
        }
        return Cost(works, seconds, self._disk(works), self._sent(), self._gpus, self._length)

    def _sampling(self, asked: Asked) -> float:
        given, group = self._given, self._sampling_group
        prompts = max(1, self._plan.rows // asked.n)
        units = math.ceil(asked.prompts / prompts - 1e-9)
        rows = asked.prompts * asked.n / units
        read = self._one * self._read / (1e9 * given.bandwidth_gb * given.bandwidth_share * group)
        step = max(given.step_seconds, read, self._forward(rows, group, self._peak))
        limit = self._plan.method.sampling.max_completion_length
        longest = mean_of_longest(rows, self._length, given.length_spread, limit)
        prefill = self._forward(rows / asked.n * asked.prompt_tokens, group, self._peak)
        unit = longest * step + max(given.step_seconds, prefill)
        return asked.times * waves(units, self._gpus // group) * unit

    def _forward(self, tokens: float, group: int, peak: float) -> float:
        """Seconds of a forward pass over so many tokens, if nothing but arithmetic held it up."""
        return self._one * self._given.forward_flops * tokens / (peak * self._given.scoring_share * group)

    def _scoring(self, tokens: float) -> float:
        # In float32 whatever the setting.
        batch = max(self._given.step_seconds, self._forward(SCORE_TOKENS, self._sampling_group, self._peak_float32))
        return tokens / SCORE_TOKENS * batch / (self._gpus // self._sampling_group)

    def _training(self, work: Work) -> float:
        if not work.trained:
            return 0.0
        given, training = self._given, self._plan.training
        passes = given.forward_flops * (1 + training.gradient_checkpointing) + given.backward_flops
        tokens = min(training.train_batch_size * work.trained_tokens / work.trained, work.trained_tokens)
        parts = math.ceil(tokens / training.max_tokens_per_batch)
        peak = self._peak * given.training_share * self._training_group
        part = max(passes / given.forward_flops * given.step_seconds, self._one * passes * tokens / parts / peak)
        return work.trained_tokens / tokens * waves(parts, self._gpus // self._training_group) * part

    def _machines_beside(self) -> int:
        """Machines that get weights from another one; at least 1, to divide by."""
        return max(1, math.ceil(self._gpus / self._given.gpus_a_machine) - 1)

    def _sent(self) -> float:
        if self._gpus <= self._given.gpus_a_machine:
            return 0.0
        return self._plan.method.num_rounds * self._all * self._given.refresh_bytes * self._machines_beside()

    def _disk(self, works: Mapping[str, Work]) -> dict[str, float]:
        given, plan = self._given, self._plan
        row = given.row_bytes + given.row_bytes_a_token * self._length
        question = given.question_bytes_a_token * given.question_tokens
        line = given.log_bytes + given.log_bytes_a_token * self._length
        asked = row * (1 + plan.evaluation.num_generations_eval) + question
        of_evaluations = asked * plan.examined * len(plan.models) * len(plan.evaluated)
        questions = question * plan.problems_of_round * plan.method.num_rounds * len(plan.models)
        round_answers = works["samples"].answers / plan.method.num_rounds
        state = given.state_bytes * (plan.training.optimizer_spans == "run")
        best = given.weights_bytes * bool(plan.validation_passes)
        # While a training's newest checkpoint takes the place of the one before, both are there.
        in_training = 2 * (given.weights_bytes + given.state_bytes + best)
        return {
            "weights": self._all * given.weights_bytes * saved_weights(plan),
            "samples": row * works["samples"].answers + questions,
            "evaluations": of_evaluations,
            "to go on from": self._all * (given.weights_bytes + state + in_training) + line * round_answers,
        }


def saved_weights(plan: Plan) -> int:
    """Rounds whose weights are kept: evaluated ones, and at most one that was the best between two of them."""
    return len(plan.evaluated) - 1 + (len(plan.probed) > len(plan.evaluated))
