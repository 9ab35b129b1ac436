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

from selftrain.config import check_at_least_one, check_types, setting
from selftrain.errors import SettingsError
from selftrain.evaluation import EvalConfig
from selftrain.methods.filters import with_scores
from selftrain.methods.pmi import PmiPair, answer_part, pmi, pmi_weights
from selftrain.methods.turn_taking import take_turns
from selftrain.training.base import TrainingConfig
from selftrain.types import Collected, Response, Round, Sample, Sampler, SamplingParams, TrainingExample


@dataclass(frozen=True, kw_only=True)
class PSTTrainingConfig(TrainingConfig):
    """How PST trains; the paper is known to use LoRA and no more than that, so all figures are ours."""

    start_from: Literal["base", "previous"] = setting("previous", "weights each round's training starts from")
    learning_rate: float = setting(1e-5, "peak learning rate of AdamW; choose it once, then freeze it")
    train_batch_size: int = setting(128, "examples in one update")
    num_train_epochs: int = setting(1, "passes over a round's answers")
    early_stopping: Literal["best", "first_drop", "off"] = setting(
        "off", "'best' and 'first_drop' need a reward on D_val", source="PST has no reward"
    )
    optimizer_spans: Literal["round", "run"] = setting("run", "'run': optimizer and schedule live on across rounds")
    lr_scheduler_type: Literal["cosine", "linear", "constant"] = setting(
        "constant", "shape of the learning rate after its rise"
    )
    warmup_ratio: float = setting(0.0, "share of the rounds over which the learning rate rises")
    validation_size: float = setting(
        128, "D_val, the watch's probe: problems (or their share, below 1) that are never sampled for data"
    )


@dataclass(frozen=True, kw_only=True)
class PSTEvalConfig(EvalConfig):
    """How PST is evaluated: exact match of each model, all together, and the generator-verifier gap."""

    eval_rounds: int = setting(10, "evaluate every so many rounds, and always the last")
    gv_gap: bool = setting(True, "measure the generator-verifier gap in every evaluated round", source="PST, abstract")


@dataclass(frozen=True)
class Turn:
    """An answer, and the aggregate of the conversation it stands in, which is the last turn's own answer."""

    response: Response
    aggregate: Response


@dataclass(frozen=True, kw_only=True)
class PST:
    """Settings of PST. What the paper leaves unknown is a setting here, and the choice is ours."""

    num_rounds: int = setting(30, "rounds of answering and training")
    problems_per_round: int | None = setting(128, "questions a round")
    num_generations: int = setting(1, "conversations about each question (K)")
    temperature: float = setting(0.7, "sampling temperature", source="ours, after Song et al., arXiv 2412.02674")
    top_p: float = setting(
        0.9, "sample among tokens of this probability mass", source="ours, after Song et al., arXiv 2412.02674"
    )
    max_completion_length: int = setting(512, "tokens an answer may have", source="ours, after Song et al.")
    order: Literal["random", "fixed", "rotate"] = setting(
        "random", "who answers when: drawn for each conversation; as given; or moved on by one each round"
    )
    target: Literal["aggregate", "own", "own_in_context"] = setting(
        "aggregate",
        "what a model is trained on: the aggregate after the question; its own answer after the question; or its own "
        "answer after all it had read, a control that moves away from consensus",
        source="ours: the sources conflict; abstract for 'aggregate', a reader's note for 'own'",
    )
    update_last: bool = setting(False, "train the model that spoke last, too", source="ours: the sources conflict")
    pmi_weights: Literal["pmi", "one", "shuffled"] = setting(
        "pmi", "'pmi' is the method; 'one' and 'shuffled' are controls: all weights 1, or dealt out at random"
    )
    pmi_scorer: Literal["self", "last", "mean", "untouched"] = setting(
        "self", "whose probabilities: the writer's, the last speaker's, the mean of all, or the writer's before round 1"
    )
    pmi_of: Literal["aggregate_given_answer", "answer_given_aggregate"] = setting(
        "aggregate_given_answer", "direction of the PMI", source="PST, abstract"
    )
    pmi_context: Literal["solo", "incremental"] = setting(
        "solo", "'solo': against the question alone; 'incremental': against all that was said before", source="ours"
    )
    pmi_span: Literal["full", "answer"] = setting("full", "the whole text that is scored, or its final answer only")
    pmi_normalization: Literal["none", "token"] = setting(
        "token", "divide by the tokens scored; a whole text's PMI saturates the sigmoid"
    )
    pmi_temperature: float = setting(1.0, "the sigmoid's temperature")
    pmi_shift: float = setting(0.0, "nats taken off before the sigmoid")
    pmi_standardize: bool = setting(False, "bring a model's PMI of a round to mean 0 and deviation 1 first")
    weight_clip: tuple[float, ...] = setting((), "lowest and highest weight; none by default")

    name: ClassVar[str] = "pst"
    summary: ClassVar[str] = (
        "several models answer in turn; what an answer says about the last one scales its update (arXiv 2604.13356)"
    )
    needs_grader: ClassVar[bool] = False
    collects_by_problem: ClassVar[bool] = False
    needs_peers: ClassVar[bool] = True
    training: ClassVar[TrainingConfig] = PSTTrainingConfig()
    evaluation: ClassVar[EvalConfig] = PSTEvalConfig()

    def __post_init__(self) -> None:
        check_types(self)
        check_at_least_one(self, "num_rounds", "num_generations", "max_completion_length")
        if self.pmi_temperature <= 0:
            raise SettingsError("pmi_temperature is 0 or less", "a sigmoid needs a width", "use 1")
        if len(self.weight_clip) not in (0, 2) or list(self.weight_clip) != sorted(self.weight_clip):
            raise SettingsError(
                f"weight_clip is {self.weight_clip}", "it is a lowest and a highest weight", "use 0.1 0.9"
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
