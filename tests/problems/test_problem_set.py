"""Dividing problems, the guard against overlap, and the made-up word problems."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selftrain.errors import DataError, SettingsError
from selftrain.problems import ProblemSet, check_overlap, load_problems, overlap
from selftrain.problems.overlap import question_key
from selftrain.types import Problem


def numbered(count, name="set"):
    return ProblemSet(name, tuple(Problem(f"{name}/{n}", f"What is {n}+1?", str(n + 1)) for n in range(count)))


def test_a_set_is_a_sequence():
    problems = numbered(5)
    assert len(problems) == 5
    assert problems[-1].id == "set/4"
    assert [problem.id for problem in problems[1:3]] == ["set/1", "set/2"]
    assert problems[1:3].name == "set"
    assert problems[2] in problems


@given(st.integers(2, 60), st.floats(0.01, 0.99), st.integers(0, 5), st.randoms(use_true_random=False))
def test_split_off_is_a_partition_that_ignores_the_order(count, share, seed, chance):
    problems = numbered(count)
    size = max(1, round(share * count))
    if size == count:
        return
    rest, held_out = problems.split_off(share, seed)
    assert len(held_out) == size
    assert {problem.id for problem in (*rest, *held_out)} == {problem.id for problem in problems}
    shuffled = list(problems)
    chance.shuffle(shuffled)
    again = ProblemSet("set", tuple(shuffled)).split_off(share, seed)[1]
    assert {problem.id for problem in again} == {problem.id for problem in held_out}


def test_split_off_by_count_and_seed():
    problems = numbered(100)
    rest, held_out = problems.split_off(10, seed=0)
    assert (len(rest), len(held_out)) == (90, 10)
    assert [problem.id for problem in rest] == [problem.id for problem in problems if problem not in held_out]
    assert problems.split_off(10, seed=1)[1] != held_out
    for impossible in (0, 100, -1, 1.0, 0.0, 1.5):
        with pytest.raises(SettingsError):
            problems.split_off(impossible)


def test_split_off_keeps_repeats_on_one_side(data):
    problems = load_problems(data / "multiarith" / "MultiArith.json")
    for seed in range(5):
        rest, held_out = problems.split_off(0.2, seed)
        assert len(held_out) == 120
        assert check_overlap(rest, held_out) == []


def test_max_problems_draws_whatever_the_order():
    rows = [{"id": n, "question": f"What is {n}+1?", "answer": n + 1} for n in range(50)]
    drawn = load_problems(rows, max_problems=10, seed=3)
    random.Random(0).shuffle(rows)
    again = load_problems(rows, max_problems=10, seed=3)
    assert len(drawn) == 10
    assert {problem.id for problem in again} == {problem.id for problem in drawn}
    assert load_problems(rows, max_problems=10, seed=4) != again
    assert len(load_problems(rows, max_problems=99)) == 50


def test_overlap_ignores_what_does_not_change_a_question():
    train = ProblemSet("a", (Problem("a/0", "How many of Sara 's 1,000 dogs remain ?", "4"), Problem("a/1", "x", "1")))
    test = ProblemSet("b", (Problem("b/0", "how  many of Sara’s 1000 dogs\nremain?", "4"), Problem("b/1", "y", "1")))
    assert overlap(train, test) == [(train[0], test[0])]
    assert overlap(test, test[:1]) == [(test[0], test[0])]
    assert overlap(train, test[1:]) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [("2+3", "2-3"), ("2.5", "25"), ("(1, 2)", "(12)"), ("not (a) and b", "not (a and b)"), ("3!4", "34")],
)
def test_formulas_stay_apart(one, other):
    assert question_key(one) != question_key(other)


def test_overlap_is_refused_unless_allowed():
    train, test = numbered(10, "train"), numbered(4, "test")
    with pytest.raises(DataError, match=r"4 of 4 (.|\n)*train/0 and test/0(.|\n)*--allow_overlap"):
        check_overlap(train, test)
    assert len(check_overlap(train, test, allow=True)) == 4
    assert check_overlap(train, ProblemSet("none", ())) == []


def test_gsm8k_test_is_not_in_train(data):
    assert check_overlap(load_problems(data / "gsm8k"), load_problems(data / "gsm8k", split="test")) == []


def test_word_problems():
    problems = load_problems("word_problems", split="test", max_problems=20)
    assert problems.name == "word_problems/test"
    assert problems[0].id == "word_problems/test/0"
    assert problems[0].solution.endswith(f"#### {problems[0].reference}")
    assert problems == load_problems("word_problems", split="test", max_problems=20)
    assert problems[0].question != load_problems("word_problems", split="test", max_problems=1, seed=1)[0].question
    assert len(load_problems("word_problems")) == 1000
    with pytest.raises(DataError, match="no split 'dev'"):
        load_problems("word_problems", split="dev")


def test_word_problem_streams_share_no_question():
    train = load_problems("word_problems", split="train", max_problems=2000)
    test = load_problems("word_problems", split="test", max_problems=2000, seed=1)
    pretrain = load_problems("word_problems", split="pretrain", max_problems=2000, seed=2)
    assert check_overlap(train, test) == check_overlap(pretrain, train) == check_overlap(pretrain, test) == []
    assert len({problem.question for problem in train}) == 2000
