"""What a run says where something cannot work: the cause, and what to set."""

from __future__ import annotations

import pytest

from selftrain.loop import messages
from selftrain.loop.collapse_monitor import CollapseMonitor, MonitorConfig
from selftrain.loop.collect import CollectedRound
from selftrain.loop.probe import Probe
from selftrain.methods.filters import drop_truncated, drop_unrewarded, with_scores
from selftrain.types import Collected, Prompt, Response, Score


def kept_nothing(*, cut: int = 0, unread: int = 0, wrong: int = 0, reward: float = 0.0) -> str:
    def responses(count: int, ends: str) -> list[Response]:
        return [Response(Prompt("p", "?"), "", i, "text", (1, 2), -1.0, ends, "m", 0) for i in range(count)]  # type: ignore[arg-type]

    all_responses = [*responses(cut, "length"), *responses(unread + wrong, "stop")]
    scores = [Score(0.0, None, "no answer found")] * (cut + unread) + [Score(reward, "8", "8 is not 7")] * wrong
    collected = CollectedRound(["m"])
    samples = drop_unrewarded(drop_truncated(with_scores(all_responses, scores)), threshold=1.5)
    collected.add(Collected(tuple(samples), {"m": ()}))
    return messages.nothing_kept(1, collected)


def test_a_round_that_kept_nothing_names_the_cause_and_its_cure() -> None:
    assert "19 were cut off" in (text := kept_nothing(cut=19, wrong=1)) and "--max_completion_length" in text
    assert "--instruction" in (text := kept_nothing(unread=15, wrong=5)) and "--num_generations" not in text
    assert "More --num_generations" in kept_nothing(cut=3, unread=3, wrong=14)
    assert "a reward of 0.5 or more" in (text := kept_nothing(wrong=20, reward=1.0)) and "--reward_threshold" in text


@pytest.mark.parametrize("score", ["consensus", "reward"])
def test_a_monitor_that_can_see_nothing_says_so_and_what_would_do(score: str) -> None:
    monitor = CollapseMonitor(MonitorConfig(), score)  # type: ignore[arg-type]

    def line(high: int, count: int, **signals: float) -> str:
        probe = Probe({str(i): float(i < high) for i in range(count)}, signals)
        return " ".join(messages.sight_lines(monitor, {"m": probe}))

    assert line(6, 20) == ""
    assert "in 0 of 20 problems" in line(0, 20) and "--validation_size" in line(0, 20)
    assert "--validation_size 60 would do" in line(2, 20)
    assert "--max_completion_length" in line(0, 20, truncation_rate=0.9, parse_failure_rate=0.9)
    assert "--instruction" in line(0, 20, truncation_rate=0.1, parse_failure_rate=0.9)


def test_an_answer_that_was_cut_off_says_so_and_not_that_none_was_found() -> None:
    response = Response(Prompt("p", "?"), "", 0, "1+1 is 1+1 is", (1, 2), -1.0, "length", "m", 0)
    (sample,) = drop_unrewarded(with_scores([response], [Score(0.0, None, "no answer found")]))
    assert sample.score.reason == "cut off before an answer" and sample.drop_reason == "truncated"
    (failed,) = with_scores([response], [Score(None, None, "grader failed: it died")])
    assert failed.score.reason == "grader failed: it died"
