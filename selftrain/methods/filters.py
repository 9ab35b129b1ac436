"""From scored samples to kept ones: pure functions, each of which names the reason why it drops a sample.

Every function takes and returns all samples, in their order. A dropped sample keeps the first reason it got.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from selftrain.types import Prompt, Response, Sample, Score

UNJUDGED, WRONG, NO_ANSWER, TRUNCATED = "unjudged", "wrong", "no answer", "truncated"
DUPLICATE, OVER_THE_CAP, EMPTY = "duplicate", "over the cap", "empty"


def with_scores(responses: Sequence[Response], scores: Sequence[Score]) -> list[Sample]:
    """Each response with its score, kept with weight 1."""
    return [Sample.of(response, score, weight=1.0) for response, score in zip(responses, scores, strict=True)]


def drop(samples: Sequence[Sample], reason: str, condition: Callable[[Sample], bool]) -> list[Sample]:
    """Drops the kept samples for which `condition` holds."""
    return [replace(s, weight=0.0, drop_reason=reason) if s.kept and condition(s) else s for s in samples]


def _drop_at(samples: Sequence[Sample], reason: str, indices: set[int]) -> list[Sample]:
    return [replace(s, weight=0.0, drop_reason=reason) if i in indices else s for i, s in enumerate(samples)]


def drop_unrewarded(samples: Sequence[Sample], threshold: float = 0.5) -> list[Sample]:
    """Keeps rewards above the threshold. With rewards of 0 and 1 every threshold in [0, 1) keeps the same samples."""
    samples = drop(samples, UNJUDGED, lambda s: s.score.value is None)
    unread = partial(_is_unread, threshold=threshold)
    samples = drop(samples, TRUNCATED, lambda s: unread(s) and s.response.truncated)
    samples = drop(samples, NO_ANSWER, unread)
    return drop(samples, WRONG, lambda s: _at_most(s, threshold))


def _is_unread(sample: Sample, threshold: float) -> bool:
    """A reward function that returns a number alone reads no answer and has no reason: what it scores low is wrong."""
    score = sample.score
    return _at_most(sample, threshold) and score.extracted_answer is None and bool(score.reason)


def _at_most(sample: Sample, threshold: float) -> bool:
    return sample.score.value is not None and sample.score.value <= threshold


def drop_truncated(samples: Sequence[Sample]) -> list[Sample]:
    return drop(samples, TRUNCATED, lambda s: s.response.truncated)


def drop_empty(samples: Sequence[Sample]) -> list[Sample]:
    return drop(samples, EMPTY, lambda s: not s.response.text.strip())


def drop_duplicates(samples: Sequence[Sample]) -> list[Sample]:
    """Keeps the first of equal texts of a problem; whitespace is normalized before they are compared."""
    seen: set[tuple[str, str]] = set()
    repeated: set[int] = set()
    for index, sample in enumerate(samples):
        text = (sample.response.prompt.problem_id, " ".join(sample.response.text.split()))
        if sample.kept and text in seen:
            repeated.add(index)
        elif sample.kept:
            seen.add(text)
    return _drop_at(samples, DUPLICATE, repeated)


def cap_per_problem(samples: Sequence[Sample], cap: int) -> list[Sample]:
    """Keeps the first `cap` samples of each problem.

    Answers to a problem are i.i.d., so any ten are as good as any other ten, and the first ten stay the same however
    many are drawn after them.
    """
    kept: Counter[str] = Counter()
    over: set[int] = set()
    for index, sample in enumerate(samples):
        if sample.kept:
            kept[sample.response.prompt.problem_id] += 1
            if kept[sample.response.prompt.problem_id] > cap:
                over.add(index)
    return _drop_at(samples, OVER_THE_CAP, over)


def problems_with(samples: Sequence[Sample], count: int) -> set[str]:
    """Ids of the problems that have at least `count` kept samples."""
    kept = Counter(sample.response.prompt.problem_id for sample in samples if sample.kept)
    return {problem_id for problem_id, number in kept.items() if number >= count}


def sort_by_prompt(samples: Sequence[Sample], prompts: Sequence[Prompt]) -> list[Sample]:
    """In the order of the prompts, then by sample index."""
    position = {prompt.problem_id: index for index, prompt in enumerate(prompts)}
    return sorted(samples, key=lambda s: (position[s.response.prompt.problem_id], s.response.sample_index))


def weigh_problems_equally(samples: Sequence[Sample]) -> list[Sample]:
    """The same total weight for every problem with a kept sample; all weights sum to the number of kept samples."""
    kept: dict[str, int] = defaultdict(int)
    for sample in samples:
        kept[sample.response.prompt.problem_id] += sample.kept
    problems = sum(count > 0 for count in kept.values())
    share = sum(kept.values()) / problems if problems else 0.0
    return [replace(s, weight=s.weight * share / kept[s.response.prompt.problem_id]) if s.kept else s for s in samples]
