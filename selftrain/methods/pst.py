"""PST: Peer-Predictive Self-Training, arXiv 2604.13356.

Several models answer a question in turn, each reading those before; the last answer is the aggregate. How much an
answer says about the aggregate, as pointwise mutual information (PMI), scales the update of the model that wrote it:
the less it says, the larger. No labels, no teacher.

The full text of the paper was not to be had, and what is known of it leaves the central point open: whether a model
is trained on the aggregate (`target` "aggregate", our default) or on its own answer ("own"). See docs/methods/pst.md.
No profile is called faithful for that reason. All figures here are ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import ClassVar, Literal

from selftrain.config import config_dataclass, setting
from selftrain.errors import SettingsError
from selftrain.evaluation import EvalConfig
from selftrain.methods.filters import with_scores
from selftrain.methods.pmi import PmiPair, answer_part, pmi, pmi_weights
from selftrain.methods.turn_taking import take_turns
from selftrain.training.base import TrainingConfig
from selftrain.types import Collected, Response, Round, Sample, Sampler, SamplingParams, TrainingExample


@config_dataclass
class PSTTrainingConfig(TrainingConfig):
    """How PST trains. Of the paper only its use of LoRA is known, so all figures are ours."""

    start_from: Literal["base", "previous"] = setting("previous")
    learning_rate: float = setting(1e-5)
    train_batch_size: int = setting(128)
    num_train_epochs: int = setting(1)
    early_stopping: Literal["best", "first_drop", "off"] = setting("off", source="PST has no reward to stop by")
    optimizer_spans: Literal["round", "run"] = setting("run")
    lr_scheduler_type: Literal["cosine", "linear", "constant"] = setting("constant")
    warmup_ratio: float = setting(0.0)
    validation_size: float = setting(128)


@config_dataclass
class PSTEvalConfig(EvalConfig):
    """How PST is evaluated: exact match of each model and of all together, and the generator-verifier gap."""

    eval_rounds: int = setting(10)
    gv_gap: bool = setting(True, source="PST, abstract")


@dataclass(frozen=True)
class Turn:
    """An answer, and the aggregate of the conversation it stands in, which is the last turn's own answer."""

    response: Response
    aggregate: Response


@config_dataclass(forkable=True)
class PST:
    """Settings of PST. What the paper leaves unknown is a setting here, and the default is ours."""

    num_rounds: int = setting(30, "rounds of sampling and training", ge=1)
    problems_per_round: int | None = setting(128, "problems per round", ge=1)
    num_generations: int = setting(1, "conversations about each problem (K)", ge=1)
    temperature: float = setting(0.7, "sampling temperature", source="ours, after Song et al., arXiv 2412.02674", ge=0)
    top_p: float = setting(
        0.9,
        "top-p (nucleus) sampling; 1 is off",
        source="ours, after Song et al., arXiv 2412.02674",
        gt=0,
        le=1,
    )
    max_completion_length: int = setting(
        512, "maximum tokens of a response", source="ours, after Song et al., arXiv 2412.02674", ge=1
    )
    order: Literal["random", "fixed", "rotate"] = setting(
        "random", "order of the models: random for each conversation; as given; or rotated by one each round"
    )
    target: Literal["aggregate", "own", "own_in_context"] = setting(
        "aggregate",
        "what a model is trained on: the aggregate after the question; its own response after the question; or its own "
        "response after all it had read, a control that moves away from consensus",
        source="ours: the sources conflict; abstract for 'aggregate', a reader's note for 'own'",
    )
    update_last: bool = setting(
        False, "also train the model that answered last, the aggregate's writer", source="ours: the sources conflict"
    )
    pmi_weights: Literal["pmi", "one", "shuffled"] = setting(
        "pmi", "'pmi' is the method; 'one' (all weights 1) and 'shuffled' (weights permuted at random) are controls"
    )
    pmi_scorer: Literal["self", "last", "mean", "untouched"] = setting(
        "self",
        "model whose probabilities give the PMI: the response's writer, the last of the conversation, the mean of all "
        "models, or the writer before round 1",
    )
    pmi_of: Literal["aggregate_given_answer", "answer_given_aggregate"] = setting(
        "aggregate_given_answer", "direction of the PMI", source="PST, abstract"
    )
    pmi_context: Literal["solo", "incremental"] = setting(
        "solo", "the PMI conditions on: 'solo' the question alone; 'incremental' the question and all earlier responses"
    )
    pmi_span: Literal["full", "answer"] = setting("full", "score the full text, or its final answer only")
    pmi_normalization: Literal["none", "token"] = setting(
        "token", "divide the PMI by the number of scored tokens; the PMI of a full text saturates the sigmoid"
    )
    pmi_temperature: float = setting(1.0, "temperature of the sigmoid", gt=0)
    pmi_shift: float = setting(0.0, "subtracted from the PMI before the sigmoid, in nats")
    pmi_standardize: bool = setting(
        False, "standardize the PMIs of a model and round to mean 0 and standard deviation 1 first"
    )
    weight_clip: tuple[float, ...] = setting((), "lowest and highest weight; no clipping by default")

    name: ClassVar[str] = "pst"
    summary: ClassVar[str] = (
        "several models answer in turn; what an answer says about the last one scales its update (arXiv 2604.13356)"
    )
    needs_grader: ClassVar[bool] = False
    collects_by_problem: ClassVar[bool] = False
    needs_peers: ClassVar[bool] = True
    training: ClassVar[TrainingConfig] = PSTTrainingConfig()
    evaluation: ClassVar[EvalConfig] = PSTEvalConfig()

    def check(self) -> None:
        if len(self.weight_clip) not in (0, 2) or list(self.weight_clip) != sorted(self.weight_clip):
            raise SettingsError(
                f"weight_clip is {self.weight_clip}",
                "it takes the lowest and the highest weight",
                "for example: 0.1 0.9",
            )

    @property
    def sampling(self) -> SamplingParams:
        return SamplingParams(self.temperature, 0, self.top_p, self.max_completion_length)

    def collect(self, now: Round) -> Collected:
        # 1. For every question the models answer in turn, each reading those before. The last answer is the aggregate.
        turns = [turn for number in range(self.num_generations) for turn in self._conversations(now, number)]
        samples = with_scores([turn.response for turn in turns], now.grade([turn.response for turn in turns]))
        samples = self._drop(turns, samples)
        # 2. PMI of each answer and its aggregate; the weight falls with it: w = sigmoid(-PMI).
        samples = self._weigh(now, turns, samples)
        # 3. Each model learns from the turns in which it spoke: minimise the mean of w * cross-entropy(target).
        examples: dict[str, list[TrainingExample]] = {learner.name: [] for learner in now.learners}
        for turn, sample in zip(turns, samples, strict=True):
            if sample.kept:
                examples[turn.response.model].append(self._example(turn, sample.weight))
        return Collected(
            tuple(samples), {name: tuple(those) for name, those in examples.items()}, facts=_facts(turns, samples)
        )

    def _conversations(self, now: Round, number: int) -> list[Turn]:
        talks = take_turns(
            now.learners, now.prompts, self._orders(now, number), self.sampling, f"{now.key}/conversation {number}"
        )
        talks = [[replace(response, sample_index=number) for response in talk] for talk in talks]
        return [Turn(response, talk[-1]) for talk in talks for response in talk]

    def _orders(self, now: Round, number: int) -> list[tuple[int, ...]]:
        """Who speaks when, for each question: places of `now.learners`."""
        places, chance = range(len(now.learners)), now.rng(f"order {number}")
        if self.order == "random":
            return [tuple(chance.sample(places, len(places))) for _ in now.prompts]
        first = (now.number - 1 + number) % len(places) if self.order == "rotate" else 0
        return [(*places[first:], *places[:first])] * len(now.prompts)

    def _drop(self, turns: Sequence[Turn], samples: Sequence[Sample]) -> list[Sample]:
        """A conversation whose aggregate is no whole answer teaches nobody; the last speaker had no one to predict."""
        answers = {id(sample.response): sample.score.extracted_answer for sample in samples}

        def drop_reason(turn: Turn) -> str | None:
            if turn.aggregate.truncated:
                return "aggregate cut off"
            if answers[id(turn.aggregate)] is None:
                return "aggregate without an answer"
            return "spoke last" if turn.response is turn.aggregate and not self.update_last else None

        return [
            replace(sample, weight=0.0 if (why := drop_reason(turn)) else 1.0, drop_reason=why)
            for turn, sample in zip(turns, samples, strict=True)
        ]

    def _weigh(self, now: Round, turns: Sequence[Turn], samples: Sequence[Sample]) -> list[Sample]:
        weighed = list(samples)
        for learner in now.learners:
            places = [at for at, s in enumerate(samples) if s.kept and s.response.model == learner.name]
            values = self._pmi(now, [turns[at] for at in places])
            weights = pmi_weights(values, self.pmi_temperature, self.pmi_shift, self.pmi_standardize, self.weight_clip)
            if self.pmi_weights == "one":
                weights = [1.0] * len(weights)
            if self.pmi_weights == "shuffled":
                weights = now.rng(f"shuffle/{learner.name}").sample(weights, len(weights))
            for at, value, weight in zip(places, values, weights, strict=True):
                weighed[at] = replace(samples[at], pmi=value, weight=weight)
        return weighed

    def _pmi(self, now: Round, turns: Sequence[Turn]) -> list[float]:
        """PMI of each of one model's turns with its aggregate, in nats (a token, by default)."""
        questions = [self._question(turn) for turn in turns]
        totals = [0.0] * len(turns)
        scorers = now.base_models() if self.pmi_scorer == "untouched" else now.learners
        for scorer in scorers:
            asked = [at for at, turn in enumerate(turns) if self.pmi_scorer == "mean" or self._scores(scorer, turn)]
            if asked:
                share = len(now.learners) if self.pmi_scorer == "mean" else 1
                values = pmi(scorer, [questions[at] for at in asked], self.pmi_normalization == "token")
                for at, value in zip(asked, values, strict=True):
                    totals[at] += value / share
        return totals

    def _scores(self, scorer: Sampler, turn: Turn) -> bool:
        return scorer.name == (turn.aggregate if self.pmi_scorer == "last" else turn.response).model

    def _question(self, turn: Turn) -> PmiPair:
        shown, scored = turn.response.text, turn.aggregate.text
        if self.pmi_of == "answer_given_aggregate":
            shown, scored = scored, shown
        if self.pmi_span == "answer":
            scored = answer_part(scored)
        before = turn.response.prompt.peer_answers if self.pmi_context == "incremental" else ()
        alone = replace(turn.response.prompt, peer_answers=before)
        return PmiPair(scored, given=replace(alone, peer_answers=(*before, shown)), alone=alone)

    def _example(self, turn: Turn, weight: float) -> TrainingExample:
        alone = replace(turn.response.prompt, peer_answers=())
        own = turn.response
        if self.target == "aggregate":
            # Text crosses between models, ids never do: each has a tokenizer of its own.
            ids = turn.aggregate.token_ids if turn.aggregate.model == own.model else None
            return TrainingExample(alone, turn.aggregate.text, ids, weight)
        return TrainingExample(
            own.prompt if self.target == "own_in_context" else alone, own.text, own.token_ids, weight, own.truncated
        )


def _facts(turns: Sequence[Turn], samples: Sequence[Sample]) -> dict[str, float]:
    """What the record keeps of a round, without a label."""
    answer = {id(sample.response): sample.score.extracted_answer for sample in samples}
    pairs = [(answer[id(t.response)], answer[id(t.aggregate)]) for t in turns if t.response is not t.aggregate]
    kept = [sample for sample in samples if sample.kept]
    facts = {"agreement": sum(one == other is not None for one, other in pairs) / max(1, len(pairs))}
    if kept:
        facts["mean_weight"] = fmean(sample.weight for sample in kept)
        facts["mean_pmi"] = fmean(sample.pmi or 0.0 for sample in kept)
    return facts


#: Defaults that differ by profile, as flat settings.
PROFILES: dict[str, dict[str, object]] = {"recommended": {}}
