"""The nouns, in the order in which a round meets them.

Problem -> Prompt -> Response -> Score -> Sample -> TrainingExample -> Lessons

All are frozen. None of them holds a tensor, and none imports anything heavy.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

FinishReason = Literal["stop", "length"]
#: A score of this or more is right. Graders of right and wrong give 1 and 0; a graded reward is cut in the middle.
RIGHT = 0.5


@dataclass(frozen=True)
class Problem:
    """A question, and what a grader needs to recognize a right answer.

    Problem(id="gsm8k/train/17", question="Tom has 3 apples ...", reference="18",
            columns={"question": "Tom has ...", "answer": "... #### 18"})
    """

    id: str
    question: str
    #: The gold answer as the grader reads it; None if there is no label.
    reference: str | None = None
    #: The row as it came, for reward functions that ask for columns by name.
    columns: Mapping[str, Any] = field(default_factory=dict, compare=False)
    #: A worked solution by a human where the data has one (never trained on by ReST-EM).
    solution: str | None = None


@dataclass(frozen=True)
class Prompt:
    """What a model is shown. It has no reference, so no engine can leak one.

    Prompt(problem_id="gsm8k/train/17", question="Tom has 3 apples ...", shots=(("1+1?", "#### 2"),))
    """

    problem_id: str
    question: str
    #: Worked examples shown first, as (question, solution) pairs.
    few_shot: tuple[tuple[str, str], ...] = ()
    #: Answers by others, shown after the question.
    peer_answers: tuple[str, ...] = ()


@dataclass(frozen=True)
class SamplingParams:
    """How answers are drawn. Names and meanings are those of TRL and transformers.

    `temperature` 0 is greedy. `top_k` 0 and `top_p` 1.0 are off.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    max_completion_length: int = 256


@dataclass(frozen=True)
class Response:
    """One answer by one model.

    Response(prompt=Prompt(...), prompt_text="Question: ...", sample_index=3, text=" 3+4=7. #### 7",
             token_ids=(5, 9, 2), logprob=-3.1, finish_reason="stop", model="llama", weights_version=1)
    """

    prompt: Prompt
    #: The very text the model was shown, after the chat template or the plain layout.
    prompt_text: str
    sample_index: int
    text: str
    #: Generated ids, with the end token where the model wrote one.
    token_ids: tuple[int, ...]
    #: Sum over `token_ids` of log p at temperature 1, untruncated, in nats.
    logprob: float
    #: "length": cut off at max_completion_length, so the text is not a whole answer.
    finish_reason: FinishReason
    model: str
    #: Which weights answered: 0 is the untouched model, r those of round r.
    weights_version: int

    @property
    def truncated(self) -> bool:
        return self.finish_reason == "length"


@dataclass(frozen=True)
class Score:
    """A grader's verdict. Wrong, unread and unjudged are three different things.

    Score(1.0, "18", "equal as numbers")            right
    Score(0.0, "20", "20 is not 18")                wrong
    Score(0.0, None, "no answer found")             nothing to read
    Score(None, None, "grader failed: ...")         unjudged: never trained on, never counted as wrong
    """

    value: float | None
    extracted_answer: str | None
    reason: str = ""
    seconds: float = 0.0
    #: Other verdicts by name, shown beside the value and never trained on: "lenient" rules of mathematics, the
    #: "held_back" tests of code.
    extra_scores: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_right(self) -> bool:
        return self.value is not None and self.value >= RIGHT


@dataclass(frozen=True)
class Sample:
    """A response with its score and its fate: a weight, or why it has none.

    Sample(response, score, weight=1.0)             kept
    Sample(response, score, drop_reason="wrong")        not kept
    """

    response: Response
    score: Score
    weight: float = 0.0
    drop_reason: str | None = None
    #: What the weight was made from, in methods that weigh by it: pointwise mutual information, in nats.
    pmi: float | None = None

    @property
    def kept(self) -> bool:
        return self.drop_reason is None


@dataclass(frozen=True)
class TrainingExample:
    """What a model is to learn: this completion after this prompt, this much.

    `token_ids` are the model's own generated ids; None where the text comes from elsewhere (a human, a peer)
    and has to be encoded anew.
    """

    prompt: Prompt
    completion: str
    token_ids: tuple[int, ...] | None = None
    weight: float = 1.0
    #: `token_ids` were cut off at the length limit: they are learnt as they are, without an end nobody wrote.
    cut_off: bool = False


@dataclass(frozen=True)
class Collected:
    """What a round of a method comes to: every sample with its fate, and what each model is to learn."""

    samples: tuple[Sample, ...]
    examples: Mapping[str, tuple[TrainingExample, ...]]
    #: Temperature of this round's training loss, where the method sets it; else that of the training settings.
    train_temperature: float | None = None
    #: Metrics of the round for rounds.jsonl, such as the mean weight.
    metrics: Mapping[str, float] = field(default_factory=dict)


Grade = Callable[[Sequence[Response]], list[Score]]


class Sampler(Protocol):
    """A model as a method sees it: it can be asked, it cannot be trained."""

    @property
    def name(self) -> str: ...

    def sample(
        self, prompts: Sequence[Prompt], n: int, params: SamplingParams, key: str, *, first_index: int = 0
    ) -> list[Response]:
        """`n` responses to each prompt, in prompt order, with sample indices from `first_index` on.

        A response is a function of (`key`, problem id, sample index) and the weights alone.
        """
        ...

    def logprob(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
        """log p(completion + end token | prompt) in nats, one number a pair."""
        ...

    def num_tokens(self, completions: Sequence[str]) -> list[int]:
        """How many tokens `logprob` sums over for each completion, the end token among them."""
        ...


@dataclass(frozen=True)
class Round:
    """All that a method is given."""

    number: int
    problems: Sequence[Problem]
    prompts: Sequence[Prompt]
    learners: Sequence[Sampler]
    #: Grades responses. A method that needs no grader gets one that extracts answers and scores nothing.
    grade: Grade
    seed: int
    num_rounds: int = 1
    #: The learners as they were before round 1, in the same order; loaded when first asked for.
    base_models: Callable[[], Sequence[Sampler]] = tuple
    #: Whether a response's score depends on it alone, so that grading can start before sampling ends.
    scores_independently: bool = False

    @property
    def done(self) -> float:
        """Share of the run that lies behind: 0 in the first round."""
        return (self.number - 1) / self.num_rounds

    @property
    def key(self) -> str:
        """Names this round's random streams."""
        return f"{self.seed}/round {self.number}"

    def rng(self, purpose: str) -> random.Random:
        """A source of chance of its own for each purpose."""
        return random.Random(f"{self.key}/{purpose}")
