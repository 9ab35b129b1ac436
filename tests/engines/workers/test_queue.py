"""Every task is done once and its result comes in its turn, whichever worker does it, dies or joins."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import pytest

from selftrain.engines.workers import WorkerLostError, run_tasks
from selftrain.errors import ModelError, RunError

TASKS = list(range(40))


class InThread:
    """A worker in this process, which computes `does`."""

    is_ready, is_lost = True, False

    def __init__(self, does: Callable[[int], int] = lambda task: task * task) -> None:
        self.does = does
        self.done: list[int] = []

    def do(self, task: int) -> int:
        self.done.append(task)
        return self.does(task)

    def close(self) -> None:
        self.is_lost = True


class Several:
    def __init__(self, *workers: InThread, alone: bool = False) -> None:
        self.workers, self.alone = list(workers), alone

    def ready(self) -> Sequence[InThread]:
        return [one for one in self.workers if not one.is_lost]

    def works_locally(self) -> bool:
        return self.alone or not self.ready()


def results(
    workers: Several, local: Callable[[int], int] = lambda task: task * task, tasks: Sequence[int] = TASKS
) -> list[int]:
    return list(run_tasks(tasks, workers, remote=InThread.do, local=local, describe=lambda task: f"task {task}"))


def lose(task: int) -> int:
    raise WorkerLostError("shot")


def lose_its_machine(task: int) -> int:
    raise WorkerLostError("the node is gone", blameless=True)


def test_results_come_in_order_and_each_task_is_done_once() -> None:
    workers = Several(InThread(), InThread(lambda task: time.sleep(0.01) or task * task), InThread(), alone=True)
    ours: list[int] = []
    assert results(workers, lambda task: ours.append(task) or task * task) == [task * task for task in TASKS]
    assert sorted(ours + [task for worker in workers.workers for task in worker.done]) == TASKS


def test_a_process_that_leaves_tasks_to_workers_does_none_until_they_are_lost() -> None:
    dying = InThread(lambda task: task * task if task < 10 else lose(task))
    ours: list[int] = []
    assert results(Several(dying), lambda task: ours.append(task) or task * task) == [task * task for task in TASKS]
    assert ours == TASKS[10:]


def test_a_task_that_returns_to_an_empty_queue_is_taken_by_a_worker_that_waits() -> None:
    both_have_one = threading.Barrier(2, timeout=20)

    def die_of_the_last(task: int) -> int:
        both_have_one.wait()
        time.sleep(0.2)  # by now the other has nothing left to do
        return lose(task)

    def live(task: int) -> int:
        if not both_have_one.broken and both_have_one.n_waiting < 2 and len(lives.done) == 1:
            both_have_one.wait()
        return task * task

    lives = InThread(live)
    assert results(Several(InThread(die_of_the_last), lives), tasks=[3, 4]) == [9, 16]
    assert sorted(lives.done) == [3, 4]


def test_a_worker_that_joins_while_this_process_is_busy_gets_tasks_at_once() -> None:
    workers, joined = Several(), InThread()

    def local(task: int) -> int:
        workers.workers.append(joined)
        for _ in range(2000):
            if len(joined.done) > 3:
                break
            time.sleep(0.01)
        return task * task

    assert results(workers, local) == [task * task for task in TASKS]
    assert sorted([0, *joined.done]) == TASKS


def test_a_task_that_kills_three_workers_is_named_and_not_tried_again() -> None:
    workers = [InThread(lambda task: lose(task) if task == 7 else task) for _ in range(5)]
    with pytest.raises(RunError, match=r"3 workers died, one after another, of task 7"):
        results(Several(*workers))
    assert sum(one.done.count(7) for one in workers) == 3


def test_a_task_is_not_blamed_for_lost_machines() -> None:
    assert results(Several(*(InThread(lose_its_machine) for _ in range(9)))) == [task * task for task in TASKS]


def test_an_error_of_a_worker_is_raised_here_and_its_task_not_tried_again() -> None:
    def refuse(task: int) -> int:
        raise ModelError("there is no such model", "it was never trained", "train it")

    worker = InThread(refuse)
    with pytest.raises(ModelError, match="it was never trained"):
        results(Several(worker))
    assert len(worker.done) == 1


def test_an_error_while_workers_start_is_raised_here() -> None:
    class Broken(Several):
        def ready(self) -> Sequence[InThread]:
            if threading.current_thread() is not threading.main_thread():
                raise RunError("three workers died while they started")
            return super().ready()

    with pytest.raises(RunError, match="while they started"):
        results(Broken(InThread(lambda task: time.sleep(0.2) or task)))
