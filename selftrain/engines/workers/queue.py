"""One queue of units, and those who take from it: this process and a thread for each worker.

What a unit comes to does not depend on who answers it; a unit whose worker is gone is answered by somebody else. So
nothing is lost and nothing done twice, whoever dies.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Generator, Sequence
from typing import Generic, Protocol, TypeVar

from selftrain.errors import RunError

#: Units by which workers may be ahead of the one that is waited for: what a killed run loses grows with them.
AHEAD = 8
#: Workers that may die of one and the same unit before that is called its fault.
DEATHS = 3
#: Seconds after which one looks again who is there.
POLL = 0.5


class WorkerLostError(Exception):
    """A worker is no more, and did not answer.

    Args:
        blameless: whatever it had in hand cannot have been the cause.
    """

    def __init__(self, why: str = "", *, blameless: bool = False) -> None:
        self.blameless = blameless
        super().__init__(why)


class Worker(Protocol):
    """Somebody else who answers units: a process, an actor on another machine. Asked by one thread at a time."""

    is_ready: bool
    is_gone: bool

    def close(self) -> None: ...


W = TypeVar("W", bound=Worker)
W_co = TypeVar("W_co", bound=Worker, covariant=True)
Unit = TypeVar("Unit")
Answer = TypeVar("Answer")


class Crew(Protocol[W_co]):
    """The workers there are. May be asked from any thread."""

    def ready(self) -> Sequence[W_co]:
        """Those that can be asked by now; asking starts those that are worth it. Does not wait for any."""
        ...

    def is_helped(self) -> bool:
        """Whether this process is to leave all units to workers for now."""
        ...


def answer_all(
    units: Sequence[Unit],
    crew: Crew[W],
    ask: Callable[[W, Unit], Answer],
    here: Callable[[Unit], Answer],
    told: Callable[[Unit], str],
) -> Generator[Answer, None, None]:
    """The answer to each unit, in order.

    Args:
        ask: has a worker answer; WorkerLostError where it is no more. Any other error is raised here as it is.
        here: answers in this process.
        told: names a unit in an error.

    Raises:
        RunError: a unit killed its workers.
    """
    queue = _Queue(units, crew, ask, told)
    try:
        for number in range(len(units)):
            while (mine := queue.next_for_us(number)) is not None:
                queue.put(mine, here(units[mine]))
            yield queue.take(number)
    finally:
        queue.stop()


class _Queue(Generic[W, Unit, Answer]):
    def __init__(
        self, units: Sequence[Unit], crew: Crew[W], ask: Callable[[W, Unit], Answer], told: Callable[[Unit], str]
    ) -> None:
        self._units, self._crew, self._ask, self._told = units, crew, ask, told
        self._todo = deque(range(len(units)))
        self._done: dict[int, Answer] = {}
        self._deaths: Counter[int] = Counter()
        self._failure: Exception | None = None
        self._awaited, self._over = 0, False
        self._changed = threading.Condition()
        self._threads: dict[W, threading.Thread] = {}
        self._inviting = threading.Thread(target=self._keep_inviting, name="inviting", daemon=True)
        if units:
            self._invite()
            self._inviting.start()

    def next_for_us(self, awaited: int) -> int | None:
        """A unit for this process to answer; None once the one that is awaited is there."""
        with self._changed:
            self._awaited = awaited
            self._changed.notify_all()
            while awaited not in self._done:
                if self._failure is not None:
                    raise self._failure
                # A unit whose worker is gone comes back into the queue.
                if self._todo and not self._crew.is_helped():
                    return self._todo.popleft()
                self._changed.wait(POLL)
            return None

    def put(self, number: int, answer: Answer) -> None:
        with self._changed:
            self._done[number] = answer
            self._changed.notify_all()

    def take(self, number: int) -> Answer:
        with self._changed:
            return self._done.pop(number)

    def stop(self) -> None:
        """Lets workers end the unit in hand, for nobody."""
        with self._changed:
            self._over = True
            self._changed.notify_all()
        if self._inviting.ident is not None:
            self._inviting.join()
        for thread in self._threads.values():
            thread.join()

    def _keep_inviting(self) -> None:
        """This process may be busy with a unit of its own while workers come to be ready."""
        while True:
            with self._changed:
                if self._changed.wait_for(lambda: self._over, POLL):
                    return
            try:
                self._invite()
            except Exception as failure:
                self._fail(failure)

    def _invite(self) -> None:
        for worker in self._crew.ready():
            if worker not in self._threads:
                self._threads[worker] = threading.Thread(target=self._serve, args=(worker,), daemon=True)
                self._threads[worker].start()

    def _serve(self, worker: W) -> None:
        while (number := self._next_for(worker)) is not None:
            try:
                self.put(number, self._ask(worker, self._units[number]))
            except WorkerLostError as lost:
                worker.is_gone = True
                self._give_back(number, lost)
            except Exception as failure:
                self._fail(failure)

    def _fail(self, failure: Exception) -> None:
        """Nobody begins anything more; who waits for an answer is told."""
        with self._changed:
            self._failure, self._over = failure, True
            self._changed.notify_all()

    def _next_for(self, worker: W) -> int | None:
        with self._changed:
            ahead = max(AHEAD, 2 * len(self._threads))
            # Not only until the queue is empty: a unit may come back into it.
            self._changed.wait_for(
                lambda: self._over or worker.is_gone or (self._todo and self._todo[0] < self._awaited + ahead)
            )
            return None if self._over or worker.is_gone else self._todo.popleft()

    def _give_back(self, number: int, lost: WorkerLostError) -> None:
        """What a lost worker had in hand is answered by somebody else, unless that is what workers die of."""
        with self._changed:
            self._deaths[number] += not lost.blameless
            if self._deaths[number] < DEATHS:
                self._todo.appendleft(number)
            else:
                self._failure = RunError(
                    f"{DEATHS} workers died, one after another, of {self._told(self._units[number])}",
                    f"the last one: {lost}",
                    "nothing that was done is lost. Give workers more memory, or lower --sampling_batch_size in "
                    "another run",
                )
            self._changed.notify_all()
