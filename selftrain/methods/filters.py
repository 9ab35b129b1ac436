"""From scored samples to kept ones: pure functions, each of which says why it drops what it drops.

Every function takes and gives back all samples in their order. A dropped one keeps the first reason it got,
so the record can tell the fate of each.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace

from selftrain.types import Prompt, Response, Sample, Score

UNJUDGED, WRONG, NO_ANSWER, TRUNCATED = "unjudged", "wrong", "no answer", "truncated"
DUPLICATE, OVER_THE_CAP, EMPTY = "duplicate", "over the cap", "empty"


def with_scores(responses: Sequence[Response], scores: Sequence[Score]) -> list[Sample]:
    """Each response with its score, all kept with weight 1 so far."""
    return [Sample(response, score, weight=1.0) for response, score in zip(responses, scores, strict=True)]


def drop(samples: Sequence[Sample], why: str, unfit: Callable[[Sample], bool]) -> list[Sample]:
    """Drops the kept samples that are `unfit`."""
    return [replace(s, weight=0.0, drop_reason=why) if s.kept and unfit(s) else s for s in samples]


def _drop_places(samples: Sequence[Sample], why: str, places: set[int]) -> list[Sample]:
    return [replace(s, weight=0.0, drop_reason=why) if place in places else s for place, s in enumerate(samples)]


def drop_unrewarded(samples: Sequence[Sample], threshold: float = 0.5) -> list[Sample]:
    """Keeps rewards above the threshold. With rewards of 0 and 1 any threshold between them keeps the same."""
    samples = drop(samples, UNJUDGED, lambda s: s.score.value is None)
    samples = drop(samples, NO_ANSWER, lambda s: _at_most(s, threshold) and s.score.extracted_answer is None)
    return drop(samples, WRONG, lambda s: _at_most(s, threshold))


def _at_most(sample: Sample, threshold: float) -> bool:
    return sample.score.value is not None and sample.score.value <= threshold


def drop_truncated(samples: Sequence[Sample]) -> list[Sample]:
    return drop(samples, TRUNCATED, lambda s: s.response.truncated)


def drop_empty(samples: Sequence[Sample]) -> list[Sample]:
    return drop(samples, EMPTY, lambda s: not s.response.text.strip())


def drop_duplicates(samples: Sequence[Sample]) -> list[Sample]:
    """Keeps the first of each text of a problem, compared without regard to white space."""
    seen: set[tuple[str, str]] = set()
    again: set[int] = set()
    for place, sample in enumerate(samples):
        text = (sample.response.prompt.problem_id, " ".join(sample.response.text.split()))
        if sample.kept and text in seen:
            again.add(place)
        elif sample.kept:
            seen.add(text)
    return _drop_places(samples, DUPLICATE, again)


def at_most_per_problem(samples: Sequence[Sample], cap: int) -> list[Sample]:
    """Keeps the first `cap` samples of each problem.

    Answers to a problem are drawn alike and apart from one another, so any ten are as good as any other ten; the first
    ones stay the same however many are drawn after them.
    """
    kept: Counter[str] = Counter()
    over: set[int] = set()
    for place, sample in enumerate(samples):
        if sample.kept:
            kept[sample.response.prompt.problem_id] += 1
            if kept[sample.response.prompt.problem_id] > cap:
                over.add(place)
    return _drop_places(samples, OVER_THE_CAP, over)


def problems_with(samples: Sequence[Sample], count: int) -> set[str]:
    """Ids of the problems that have `count` kept samples or more."""
    kept = Counter(sample.response.prompt.problem_id for sample in samples if sample.kept)
    return {problem_id for problem_id, number in kept.items() if number >= count}


def in_order_of(prompts: Sequence[Prompt], samples: Sequence[Sample]) -> list[Sample]:
    """By prompt, and by sample index."""
    places = {prompt.problem_id: place for place, prompt in enumerate(prompts)}
    return sorted(samples, key=lambda s: (places[s.response.prompt.problem_id], s.response.sample_index))


def weigh_problems_equally(samples: Sequence[Sample]) -> list[Sample]:
    """Weights that sum to the same for each problem that has a kept sample, and to their number in all."""
    kept: dict[str, int] = defaultdict(int)
    for sample in samples:
        kept[sample.response.prompt.problem_id] += sample.kept
    problems = sum(count > 0 for count in kept.values())
    share = sum(kept.values()) / problems if problems else 0.0
    return [replace(s, weight=s.weight * share / kept[s.response.prompt.problem_id]) if s.kept else s for s in samples]
