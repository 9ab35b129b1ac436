"""Every unit is answered once and comes in its turn, whoever answers, dies or joins."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import pytest

from selftrain.engines.workers import WorkerLostError, answer_all
from selftrain.errors import ModelError, RunError

UNITS = list(range(40))


class InThread:
    """A worker that answers in this process, as `does` says."""

    is_ready, is_gone = True, False

    def __init__(self, does: Callable[[int], int] = lambda unit: unit * unit) -> None:
        self.does = does
        self.asked: list[int] = []

    def ask(self, unit: int) -> int:
        self.asked.append(unit)
        return self.does(unit)

    def close(self) -> None:
        self.is_gone = True


class Some:
    def __init__(self, *workers: InThread, alone: bool = False) -> None:
        self.workers, self.alone = list(workers), alone

    def ready(self) -> Sequence[InThread]:
        return [one for one in self.workers if not one.is_gone]

    def is_helped(self) -> bool:
        return not self.alone and bool(self.ready())


def answers(crew: Some, here: Callable[[int], int] = lambda unit: unit * unit, units: Sequence[int] = UNITS) -> list:
    return list(answer_all(units, crew, InThread.ask, here, lambda unit: f"unit {unit}"))


def lose(unit: int) -> int:
    raise WorkerLostError("shot")


def lose_its_machine(unit: int) -> int:
    raise WorkerLostError("the node is gone", blameless=True)


def test_units_come_in_order_and_each_is_asked_once_of_somebody() -> None:
    workers = [InThread(), InThread(lambda unit: time.sleep(0.01) or unit * unit), InThread()]
    ours: list[int] = []
    crew = Some(*workers, alone=True)
    assert answers(crew, lambda unit: ours.append(unit) or unit * unit) == [unit * unit for unit in UNITS]
    assert sorted(ours + [unit for one in workers for unit in one.asked]) == UNITS


def test_a_process_that_is_helped_answers_nothing_until_it_is_alone_again() -> None:
    dying = InThread(lambda unit: unit * unit if unit < 10 else lose(unit))
    ours: list[int] = []
    assert answers(Some(dying), lambda unit: ours.append(unit) or unit * unit) == [unit * unit for unit in UNITS]
    assert ours == UNITS[10:]


def test_a_unit_that_comes_back_when_none_is_left_is_answered_by_a_worker_that_waits() -> None:
    both_have_one = threading.Barrier(2, timeout=20)

    def die_of_the_last(unit: int) -> int:
        both_have_one.wait()
        time.sleep(0.2)  # by now the other has nothing left to do
        return lose(unit)

    def live(unit: int) -> int:
        if not both_have_one.broken and both_have_one.n_waiting < 2 and len(lives.asked) == 1:
            both_have_one.wait()
        return unit * unit

    lives = InThread(live)
    assert answers(Some(InThread(die_of_the_last), lives), units=[3, 4]) == [9, 16]
    assert sorted(lives.asked) == [3, 4]


def test_a_worker_that_joins_while_this_process_is_busy_is_asked_at_once() -> None:
    crew, joined = Some(), InThread()

    def here(unit: int) -> int:
        crew.workers.append(joined)
        for _ in range(2000):
            if len(joined.asked) > 3:
                break
            time.sleep(0.01)
        return unit * unit

    assert answers(crew, here) == [unit * unit for unit in UNITS]
    assert sorted([0, *joined.asked]) == UNITS


def test_a_unit_that_kills_three_workers_is_named_instead_of_tried_for_ever() -> None:
    workers = [InThread(lambda unit: lose(unit) if unit == 7 else unit) for _ in range(5)]
    with pytest.raises(RunError, match=r"3 workers died, one after another, of unit 7"):
        answers(Some(*workers))
    assert sum(one.asked.count(7) for one in workers) == 3


def test_machines_that_are_lost_are_nobodys_fault() -> None:
    assert answers(Some(*(InThread(lose_its_machine) for _ in range(9)))) == [unit * unit for unit in UNITS]


def test_what_a_worker_raises_is_raised_here_in_its_own_words_and_not_tried_again() -> None:
    def refuse(unit: int) -> int:
        raise ModelError("there is no such model", "it was never trained", "train it")

    worker = InThread(refuse)
    with pytest.raises(ModelError, match="it was never trained"):
        answers(Some(worker))
    assert len(worker.asked) == 1


def test_who_cannot_start_workers_says_so_here() -> None:
    class Broken(Some):
        def ready(self) -> Sequence[InThread]:
            if threading.current_thread() is not threading.main_thread():
                raise RunError("three workers died before they could be asked")
            return super().ready()

    with pytest.raises(RunError, match="before they could be asked"):
        answers(Broken(InThread(lambda unit: time.sleep(2) or unit)))
