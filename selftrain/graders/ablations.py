"""Controls: judges that stand in for one, to show what training does without it.

| name         | an answer scores                                          | what it separates                       |
|--------------|-----------------------------------------------------------|-----------------------------------------|
| `always_one` | 1                                                         | a reward from training on just anything |
| `majority`   | 1 where it is the most frequent one to its problem        | labels from agreement                   |
| `shuffled`   | what another answer to its problem was given, by chance   | right data from data on these problems  |

`majority` and `shuffled` read and judge as "math" does; `majority:choice`, `shuffled:exact` and the like as another.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from selftrain.graders.base import Grader
from selftrain.graders.extract import read_answer
from selftrain.graders.reader import AnswerReader
from selftrain.types import Problem, Response, Score


class _Ablations(frozenset[str]):
    """The names of controls, with those that hold one: "shuffled:choice", "math + majority"."""

    def __contains__(self, name: object) -> bool:
        parts = name.split(" + ") if isinstance(name, str) else []
        return any(super(_Ablations, self).__contains__(part.partition(":")[0]) for part in parts)


#: `grader.name in ABLATIONS` tells a control. Evaluations are never theirs: a control must not mark its own work.
ABLATIONS = _Ablations({"always_one", "majority", "shuffled"})


class AlwaysOne(Grader):
    """Every answer scores 1.0. The control without a reward: what training on just anything does."""

    name = "always_one"
    scores_independently = True

    def grade(self, responses: Sequence[Response], problems: Mapping[str, Problem]) -> list[Score]:
        return [Score(1.0, read_answer(response.text), "every answer scores 1") for response in responses]


class Majority(Grader):
    """1.0 for the most frequent answer to each problem in this call, 0.0 for any other or none. Needs no labels.

    Of equally frequent answers it is the first by spelling, and only that one: what is kept of a problem never
    contradicts itself, and neither the order of drawing nor the luck of a run has a say. Two answers with one
    vote each are thus no reason to keep none; whoever wants a clear majority asks for more answers.

    A problem with one answer in a call agrees with itself: it scores 1.0 where anything was read.
    """

    def __init__(self, reader: AnswerReader, name: str = "majority") -> None:
        self.name, self._reader = name, reader

    def grade(self, responses: Sequence[Response], problems: Mapping[str, Problem]) -> list[Score]:
        read = self._reader.grade(responses, problems)
        scores = list(read)
        for places in _by_problem(responses).values():
            votes = Counter(answer for place in places if (answer := read[place].extracted_answer) is not None)
            first = min(votes, key=lambda answer: (-votes[answer], answer), default=None)
            for place in places:
                scores[place] = _vote(read[place], first, votes, len(places))
        return scores


def _vote(read: Score, first: str | None, votes: Mapping[str, int], asked: int) -> Score:
    if read.extracted_answer is None:
        return replace(read, value=0.0)
    return replace(
        read,
        value=float(read.extracted_answer == first),
        reason=f"{votes[read.extracted_answer]} of {asked} answers say so",
    )


class Shuffled(Grader):
    """The scores of a judge, dealt out anew among the answers to the same problem.

    As many answers to each problem score 1 as before, but which ones is chance: the permutation is drawn by the
    problem's id and the number of its answers. Value and reason move, the answer read stays with its response. A
    problem with a single answer in a call keeps its true score.
    """

    def __init__(self, grader: Grader, name: str = "shuffled", seed: int = 0) -> None:
        self.name, self._grader, self._seed = name, grader, seed

    def grade(self, responses: Sequence[Response], problems: Mapping[str, Problem]) -> list[Score]:
        honest = self._grader.grade(responses, problems)
        scores = list(honest)
        for problem_id, places in _by_problem(responses).items():
            dealt = random.Random(f"{self._seed}/shuffled/{problem_id}").sample(places, len(places))
            for place, source in zip(places, dealt, strict=True):
                reason = f"shuffled: {honest[source].reason}"
                scores[place] = replace(honest[place], value=honest[source].value, reason=reason)
        return scores

    def close(self) -> None:
        self._grader.close()


def _by_problem(responses: Sequence[Response]) -> dict[str, list[int]]:
    places: defaultdict[str, list[int]] = defaultdict(list)
    for place, response in enumerate(responses):
        places[response.prompt.problem_id].append(place)
    return places
