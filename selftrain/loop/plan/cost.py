"""What the work of a run costs: seconds, GPU-hours, disk and network."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from selftrain.loop.plan.assumptions import Assumptions
from selftrain.loop.plan.batches import mean_of_longest, waves
from selftrain.loop.plan.counting import SampleCall
from selftrain.loop.plan.needs import Shards, model_needs
from selftrain.loop.plan.shape import RunShape
from selftrain.loop.plan.work import Work, work_of
from selftrain.models.placement import Device, MemoryNeed, place
from selftrain.training.base import MAX_TOKENS

#: Tokens of one batch of texts that are scored, as in the engine.
SCORE_TOKENS = 4096


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How large the models are, and what they run on.

    Scale(params=(7e9,), gpus=8)

    Args:
        params: weights of each model; their mean stands for all where work is shared.
    """

    params: tuple[float, ...]
    gpus: int
    assumptions: Assumptions = Assumptions()


@dataclass(frozen=True)
class Cost:
    """
    Cost(work={"samples": Work(...), ...}, seconds={"sampling": 61200.0, ...}, disk={"weights": 8.4e10, ...},
         network=0.0, gpus=8, completion_tokens=400)
    """

    #: As `work_of` returns it.
    work: Mapping[str, Work]
    #: By purpose; one after another, as in a run.
    seconds: Mapping[str, float]
    #: Bytes at the end of the run, by content; "checkpoints" are an upper bound during the run, and gone at its end.
    disk: Mapping[str, float]
    #: Bytes sent to samplers.
    network: float
    gpus: int
    #: Tokens of a response.
    completion_tokens: int

    @property
    def hours(self) -> float:
        return sum(self.seconds.values()) / 3600

    @property
    def gpu_hours(self) -> float:
        """All GPUs are held for the whole run, also while some are idle."""
        return self.hours * self.gpus

    @property
    def sampled_tokens(self) -> float:
        return self.completion_tokens * sum(work.responses for work in self.work.values())

    @property
    def trained_tokens(self) -> float:
        return sum(work.trained_tokens for work in self.work.values())

    @property
    def kept_bytes(self) -> float:
        """On disk at the end."""
        return sum(size for name, size in self.disk.items() if name != "checkpoints")


def size(shape: RunShape, scale: Scale) -> Cost:
    """What a run costs, from its settings alone. Raises as `cost_of`."""
    return cost_of(shape, scale, count_work(shape, scale.assumptions))


def count_work(shape: RunShape, given: Assumptions) -> dict[str, Work]:
    return work_of(
        shape,
        prompt_tokens=given.question_tokens,
        completion_tokens=given.completion_tokens,
        share_right=given.share_right,
    )


def cost_of(shape: RunShape, scale: Scale, works: Mapping[str, Work]) -> Cost:
    """
    Args:
        works: what `work_of` returned for this shape.

    Raises:
        SettingsError: as `check_fit`.
    """
    check_fit(shape, scale)
    return _Costing(shape, scale, works).cost()


def check_fit(shape: RunShape, scale: Scale) -> None:
    """A whole model fits on a GPU, and on each its shard of a training; with offload that fits beside the CPUs.

    Raises:
        SettingsError: as `models.placement.place`.
    """
    given = scale.assumptions
    sizes = [given.model_size(params) for params in scale.params]
    needs = model_needs(sizes, shape.training, shape.adapter, _shards(shape, scale))
    devices = [Device(f"GPU {number}", int(1e9 * given.memory_gb)) for number in range(scale.gpus)]
    place(dict(zip(shape.models, needs, strict=True)), devices)
    if not shape.offload:
        return
    # The run's machine has whole weights of all models as well.
    share, whole = min(1.0, given.gpus_a_machine / scale.gpus), sum(need.resident for need in needs)
    for name, need in zip(shape.models, model_needs(sizes, shape.training, shape.adapter), strict=True):
        machine = MemoryNeed(whole, share * need.peak)
        place({f"{name}, offloaded": machine}, [Device("the machine", int(1e9 * given.machine_gb))])


def training_bytes(shape: RunShape, scale: Scale) -> float:
    """What a training takes of each GPU at most, without activations. Raises as `check_fit`."""
    check_fit(shape, scale)
    sizes = [scale.assumptions.model_size(params) for params in scale.params]
    return max(one.peak for one in model_needs(sizes, shape.training, shape.adapter, _shards(shape, scale)))


def _shards(shape: RunShape, scale: Scale) -> Shards | None:
    return Shards(processes=scale.gpus, elsewhere=shape.offload) if scale.gpus > 1 or shape.offload else None


@dataclass(frozen=True)
class _Costing:
    shape: RunShape
    scale: Scale
    works: Mapping[str, Work]

    @property
    def given(self) -> Assumptions:
        return self.scale.assumptions

    @property
    def _mean_params(self) -> float:
        return sum(self.scale.params) / len(self.scale.params)

    @property
    def _peak(self) -> float:
        return 1e12 * (self.given.peak_tflops if self.shape.bf16 else self.given.peak_tflops_float32)

    @property
    def _length(self) -> int:
        return min(self.given.completion_tokens, self.shape.method.sampling.max_completion_length)

    @property
    def _saved(self) -> float:
        """Weights that a round saves, of all models."""
        share = self.given.adapter_share if self.shape.adapter.use_peft else 1.0
        return share * sum(self.scale.params)

    def cost(self) -> Cost:
        works = list(self.works.values())
        seconds = {
            "sampling": sum(self._sampling(call) for work in works for call in work.calls),
            "scoring": sum(self._scoring(work.scored_tokens) for work in works),
            "training": self._training(self.works["samples"]),
            "sending weights": self._sent() / self._other_machines() / (1e9 * self.given.network_gb),
            "grading and recording": self.given.own_seconds * sum(work.graded for work in works),
        }
        return Cost(
            work=self.works,
            seconds=seconds,
            disk=self._disk(),
            network=self._sent(),
            gpus=self.scale.gpus,
            completion_tokens=self._length,
        )

    def _sampling(self, call: SampleCall) -> float:
        given = self.given
        batches = math.ceil(call.prompts / max(1, self.shape.batch_size // call.n) - 1e-9)
        responses = call.prompts * call.n / batches
        read_bytes = given.read_bytes_bf16 if self.shape.bf16 else given.read_bytes
        read = self._mean_params * read_bytes / (1e9 * given.bandwidth_gb * given.bandwidth_share)
        step = max(given.step_seconds, read, self._forward(responses, self._peak))
        limit = self.shape.method.sampling.max_completion_length
        longest = mean_of_longest(responses, self._length, given.length_spread, limit)
        prefill = self._forward(responses / call.n * call.prompt_tokens, self._peak)
        batch = longest * step + max(given.step_seconds, prefill)
        return call.times * waves(batches, self.scale.gpus) * batch

    def _forward(self, tokens: float, peak: float) -> float:
        """Seconds of a forward pass over so many tokens on one GPU, bound by arithmetic alone."""
        flops = self._mean_params * self.given.forward_flops * tokens
        return flops / (peak * self.given.scoring_share)

    def _scoring(self, tokens: float) -> float:
        # In float32 whatever the setting.
        peak = 1e12 * self.given.peak_tflops_float32
        batch = max(self.given.step_seconds, self._forward(SCORE_TOKENS, peak))
        return tokens / SCORE_TOKENS * batch / self.scale.gpus

    def _training(self, work: Work) -> float:
        if not work.trained:
            return 0.0
        given, training = self.given, self.shape.training
        # A frozen weight has no gradient of its own: half of the backward pass is left.
        backward = given.backward_flops / (2 if self.shape.adapter.use_peft else 1)
        flops = given.forward_flops * (1 + training.gradient_checkpointing) + backward
        tokens = min(training.train_batch_size * work.trained_tokens / work.trained, work.trained_tokens)
        micro_batches = math.ceil(tokens / (training.max_tokens_per_batch or MAX_TOKENS))
        peak = self._peak * given.training_share
        seconds = max(
            flops / given.forward_flops * given.step_seconds, self._mean_params * flops * tokens / micro_batches / peak
        )
        return work.trained_tokens / tokens * waves(micro_batches, self.scale.gpus) * seconds

    def _other_machines(self) -> int:
        """Machines that get weights from another one; at least 1, to divide by."""
        return max(1, math.ceil(self.scale.gpus / self.given.gpus_a_machine) - 1)

    def _sent(self) -> float:
        if self.scale.gpus <= self.given.gpus_a_machine:
            return 0.0
        per_round = sum(self.scale.params) * self.given.refresh_bytes * self._other_machines()
        return self.shape.method.num_rounds * per_round

    def _disk(self) -> dict[str, float]:
        given, shape, params = self.given, self.shape, self._saved
        rounds, models = shape.method.num_rounds, len(shape.models)
        row = given.row_bytes + given.row_bytes_a_token * self._length
        question = given.question_bytes_a_token * given.question_tokens
        evaluated = row * (1 + shape.evaluation.num_generations_eval) + question
        samples = self.works["samples"].responses
        journal = (given.log_bytes + given.log_bytes_a_token * self._length) * samples / rounds
        state = given.state_bytes * (shape.training.optimizer_spans == "run")
        best = given.weights_bytes * bool(shape.validation_passes)
        # While the newest checkpoint of a training replaces the one before, both exist.
        in_training = 2 * (given.weights_bytes + given.state_bytes + best)
        return {
            "weights": params * given.weights_bytes * shape.saved_weights,
            "samples": row * samples + question * shape.problems_per_round * rounds * models,
            "evaluations": evaluated * shape.eval_problems * models * len(shape.evaluated_rounds),
            "checkpoints": params * (given.weights_bytes + state + in_training) + journal,
        }
