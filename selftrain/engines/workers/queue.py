"""One queue of tasks, and those who take from it: this process, and a thread for each worker.

The result of a task does not depend on who computes it, and a task whose worker is lost is taken by another. So nothing
is lost and nothing done twice, whoever dies.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Generator, Sequence
from typing import Generic, Protocol, TypeVar

from selftrain.errors import RunError

#: Tasks by which workers may be ahead of the one that is waited for; a killed run loses that many.
MAX_AHEAD = 8
#: Workers that may die of the same task before it is taken for the cause.
MAX_DEATHS = 3
#: Seconds between two looks at which workers there are.
POLL_SECONDS = 0.5


class WorkerLostError(Exception):
    """A worker ended without a result.

    Args:
        blameless: its task cannot have been the cause.
    """

    def __init__(self, why: str = "", *, blameless: bool = False) -> None:
        self.blameless = blameless
        super().__init__(why)


class Worker(Protocol):
    """A process, or an actor on another machine. Used by one thread at a time."""

    is_ready: bool
    is_lost: bool

    def close(self) -> None: ...


W = TypeVar("W", bound=Worker)
W_co = TypeVar("W_co", bound=Worker, covariant=True)
Task = TypeVar("Task")
Result = TypeVar("Result")


class Workers(Protocol[W_co]):
    """The workers there are. May be called from any thread."""

    def ready(self) -> Sequence[W_co]:
        """Those that can take a task now. Starts workers where that is worth it; waits for none."""
        ...

    def works_locally(self) -> bool:
        """Whether this process computes tasks itself, for now."""
        ...


def run_tasks(
    tasks: Sequence[Task],
    workers: Workers[W],
    *,
    remote: Callable[[W, Task], Result],
    local: Callable[[Task], Result],
    describe: Callable[[Task], str],
) -> Generator[Result, None, None]:
    """The result of each task, in order.

    Args:
        remote: has a worker compute a task; WorkerLostError if it is lost. Any other error is raised to the caller.
        local: computes a task in this process.
        describe: names a task in an error message.

    Raises:
        RunError: several workers died of one task.
    """
    queue = _Queue(tasks, workers, remote, describe)
    try:
        for number in range(len(tasks)):
            while (taken := queue.take_locally(number)) is not None:
                queue.put(taken, local(tasks[taken]))
            yield queue.result(number)
    finally:
        queue.stop()


class _Queue(Generic[W, Task, Result]):
    def __init__(
        self,
        tasks: Sequence[Task],
        workers: Workers[W],
        remote: Callable[[W, Task], Result],
        describe: Callable[[Task], str],
    ) -> None:
        self._tasks, self._workers, self._remote, self._describe = tasks, workers, remote, describe
        self._todo = deque(range(len(tasks)))
        self._results: dict[int, Result] = {}
        self._deaths: Counter[int] = Counter()
        self._failure: Exception | None = None
        self._awaited, self._stopped = 0, False
        self._changed = threading.Condition()
        self._threads: dict[W, threading.Thread] = {}
        self._recruiter = threading.Thread(target=self._keep_recruiting, name="recruiter", daemon=True)
        if tasks:
            self._recruit()
            self._recruiter.start()

    def take_locally(self, awaited: int) -> int | None:
        """A task for this process; None once the result that is awaited is there."""
        with self._changed:
            self._awaited = awaited
            self._changed.notify_all()
            while awaited not in self._results:
                if self._failure is not None:
                    raise self._failure
                # The task of a lost worker returns to the queue.
                if self._todo and self._workers.works_locally():
                    return self._todo.popleft()
                self._changed.wait(POLL_SECONDS)
            return None

    def put(self, number: int, result: Result) -> None:
        with self._changed:
            self._results[number] = result
            self._changed.notify_all()

    def result(self, number: int) -> Result:
        with self._changed:
            return self._results.pop(number)

    def stop(self) -> None:
        """Lets workers finish their current task; its result is dropped."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        if self._recruiter.ident is not None:
            self._recruiter.join()
        for thread in self._threads.values():
            thread.join()

    def _keep_recruiting(self) -> None:
        """A thread of its own, since this process may be busy with a task when a worker becomes ready."""
        while True:
            with self._changed:
                if self._changed.wait_for(lambda: self._stopped, POLL_SECONDS):
                    return
            try:
                self._recruit()
            except Exception as failure:
                self._fail(failure)

    def _recruit(self) -> None:
        for worker in self._workers.ready():
            if worker not in self._threads:
                self._threads[worker] = threading.Thread(target=self._serve, args=(worker,), daemon=True)
                self._threads[worker].start()

    def _serve(self, worker: W) -> None:
        while (number := self._take_for(worker)) is not None:
            try:
                self.put(number, self._remote(worker, self._tasks[number]))
            except WorkerLostError as lost:
                worker.is_lost = True
                self._give_back(number, lost)
            except Exception as failure:
                self._fail(failure)

    def _fail(self, failure: Exception) -> None:
        """No further task is begun, and the failure is raised to the caller."""
        with self._changed:
            self._failure, self._stopped = failure, True
            self._changed.notify_all()

    def _take_for(self, worker: W) -> int | None:
        with self._changed:
            ahead = max(MAX_AHEAD, 2 * len(self._threads))
            # Waits while the queue is empty, too: a task may return to it.
            self._changed.wait_for(
                lambda: self._stopped or worker.is_lost or (self._todo and self._todo[0] < self._awaited + ahead)
            )
            return None if self._stopped or worker.is_lost else self._todo.popleft()

    def _give_back(self, number: int, lost: WorkerLostError) -> None:
        """The task of a lost worker goes to another one, unless workers die of it."""
        with self._changed:
            self._deaths[number] += not lost.blameless
            if self._deaths[number] < MAX_DEATHS:
                self._todo.appendleft(number)
            else:
                self._failure = RunError(
                    f"{MAX_DEATHS} workers died, one after another, of {self._describe(self._tasks[number])}",
                    f"the last one: {lost}",
                    "what was computed before is kept. Give workers more memory, or start another run with a lower "
                    "--sampling_batch_size",
                )
            self._changed.notify_all()
