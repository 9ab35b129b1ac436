"""The actors of a run: started where the cluster has room, asked while they live, replaced when they die."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import ray
from ray.exceptions import ActorUnavailableError, GetTimeoutError, NodeDiedError, RayError, RayTaskError

from selftrain.engines.ray.actor import Actor, Computes, versions
from selftrain.engines.ray.config import RayConfig
from selftrain.engines.ray.weights import Weights
from selftrain.engines.workers import DEATHS, WorkerLostError
from selftrain.errors import RunError, SelftrainError

#: Seconds between two looks at what the cluster has room for.
LOOK_EVERY = 2.0
#: Seconds without a worker after which that is said.
PATIENCE = 60.0
#: Seconds without a question after which a worker is asked whether it still lives.
IDLE = 2.0


class RayWorker:
    """One actor. It is ready once its process runs; models and judges it takes when they are first asked for."""

    def __init__(self, settings: RayConfig) -> None:
        device = "cuda" if settings.ray_worker_gpus else "cpu"
        # No restart by Ray: a restarted actor would have lost its models. Spread, so that a node's loss costs few.
        self._actor: Any = (
            ray.remote(Actor)
            .options(
                num_cpus=settings.ray_worker_cpus, num_gpus=settings.ray_worker_gpus, max_restarts=0,
                scheduling_strategy="SPREAD",
            )
            .remote(settings.ray_worker_cpus, device)
        )  # fmt: skip
        self._hello = self._actor.hello.remote()
        self._held: dict[str, int] = {}
        self.is_ready, self.is_gone = False, False
        self.node = ""
        #: Questions it has answered, and when the last one.
        self.answered, self._heard = 0, time.monotonic()

    @property
    def address(self) -> str:
        """Of its node."""
        found = next((one for one in ray.nodes() if one["NodeID"] == self.node), None)
        return self.node if found is None else str(found["NodeManagerAddress"])

    def look(self) -> None:
        """Whether it has become ready, or died before.

        Raises:
            WorkerLostError: it died. RunError: it is no use.
        """
        try:
            self.node, found = ray.get(self._hello, timeout=0)
        except GetTimeoutError:
            return
        except RayError as error:
            raise _lost(error) from error
        if found != versions():
            raise RunError(
                f"a worker on {self.address} has {found}, and here there is {versions()}",
                "its answers could be others",
                "install the same versions on every node",
            )
        self.is_ready = True

    def hold(self, key: str, loading: dict[str, Any], weights: Weights) -> Computes | None:
        """Brings a model, or its new weights, to the worker, where it has them not; then tells what computes there."""
        if self._held.get(key) == weights.number:
            return None
        found: Computes = self.call("take_model", key, loading, weights.files)
        self._held[key] = weights.number
        return found

    def call(self, verb: str, *arguments: Any) -> Any:
        """
        Raises:
            WorkerLostError: it is no more. Whatever the actor raised.
        """
        self._greet()
        try:
            found = ray.get(getattr(self._actor, verb).remote(*arguments))
            self.answered, self._heard = self.answered + 1, time.monotonic()
            return found
        except RayTaskError as error:
            cause = error.cause
            if isinstance(cause, SelftrainError):
                found = f"{cause.found} (a worker on {self.address})"
                raise type(cause)(found, cause.why, cause.do) from error
            if isinstance(cause, RayError):
                raise _lost(error) from error
            raise
        except RayError as error:
            raise _lost(error) from error

    def _greet(self) -> None:
        """Who died while nothing was asked of him did not die of what is asked now."""
        if time.monotonic() - self._heard > IDLE:
            try:
                ray.get(self._actor.hello.remote())
            except RayError as error:
                raise WorkerLostError(str(error), blameless=True) from error

    def close(self) -> None:
        ray.kill(self._actor)


class RayWorkers:
    """All of a run. Several models and judges ask the same ones, so that none keeps the others from their room."""

    def __init__(self, settings: RayConfig, say: Callable[[str], None]) -> None:
        self.settings, self._say = settings, say
        self._workers: list[RayWorker] = []
        self._lock = threading.Lock()
        self._looked, self._ready_at = float("-inf"), time.monotonic()
        self._stillborn = 0
        #: Questions answered by workers that are no more, and how many those were.
        self._gone_answered, self._gone = 0, 0
        self._told: set[str] = set()

    def ready(self) -> Sequence[RayWorker]:
        with self._lock:
            if time.monotonic() - self._looked > LOOK_EVERY:
                self._look()
                self._looked = time.monotonic()
            return self._alive()

    def is_helped(self) -> bool:
        """This process answers as long as nobody else does; never where answers are to come from GPUs."""
        return self.settings.ray_worker_gpus > 0 or bool(self._alive())

    def say_once(self, line: str) -> None:
        with self._lock:
            if line not in self._told:
                self._told.add(line)
                self._say(line)

    def close(self) -> None:
        with self._lock:
            for worker in self._workers:
                worker.close()
            answered = self._gone_answered + sum(one.answered for one in self._workers)
            lost = f"; {self._gone:,} were lost" if self._gone else ""
            self._say(f"ray: workers answered {answered:,} questions, {len(self._alive()):,} are let go{lost}")
            self._workers = []

    def _alive(self) -> list[RayWorker]:
        return [one for one in self._workers if one.is_ready and not one.is_gone]

    def _look(self) -> None:
        """Who came, who went, and who may come yet.

        Raises:
            RunError: none lives long enough to be asked.
        """
        for worker in self._workers:
            if worker.is_gone:
                self._say(f"ray: a worker on {worker.address} is lost; what it had in hand is asked again")
                worker.close()
                self._gone, self._gone_answered = self._gone + 1, self._gone_answered + worker.answered
            elif not worker.is_ready:
                self._look_at(worker)
        self._workers = [one for one in self._workers if not one.is_gone]
        pending = sum(not one.is_ready for one in self._workers)
        most = self.settings.ray_workers
        # Such as have no room yet are let be: nobody waits for them, and Ray starts them where there is room.
        wanted = _room(self.settings) - pending
        if most is not None:
            wanted = min(wanted, most - len(self._workers))
        self._workers += [RayWorker(self.settings) for _ in range(wanted)]
        self._tell_of_waiting()

    def _look_at(self, worker: RayWorker) -> None:
        try:
            worker.look()
        except WorkerLostError as lost:
            worker.is_gone = True
            self._stillborn += not lost.blameless
            if self._stillborn >= DEATHS:
                raise RunError(
                    f"{DEATHS} Ray workers died before they could be asked",
                    str(lost),
                    "look whether selftrain is installed on every node, and starts there",
                ) from lost
        if worker.is_ready:
            self._stillborn = 0
            self._say(f"ray: a worker on {worker.address} is ready, {len(self._alive())} in all")

    def _tell_of_waiting(self) -> None:
        if self._alive():
            self._ready_at = time.monotonic()
        elif time.monotonic() - self._ready_at > PATIENCE:
            self._ready_at = time.monotonic()
            self._say(
                f"ray: no worker for {PATIENCE:.0f} s; one needs {self.settings.ray_worker_cpus} CPUs and "
                f"{self.settings.ray_worker_gpus:g} GPUs, and the cluster has {_spoken(ray.cluster_resources())}, "
                f"of which {_spoken(ray.available_resources())} are free"
            )


def _room(settings: RayConfig) -> int:
    """Workers that the cluster could take now, as far as sums over nodes tell."""
    free = ray.available_resources()
    of_cpus = free.get("CPU", 0) / settings.ray_worker_cpus
    return int(min(of_cpus, free.get("GPU", 0) / settings.ray_worker_gpus) if settings.ray_worker_gpus else of_cpus)


def _spoken(resources: dict[str, float]) -> str:
    return f"{resources.get('CPU', 0):g} CPUs and {resources.get('GPU', 0):g} GPUs"


def _lost(error: RayError) -> WorkerLostError:
    told = str(error).strip().splitlines()[-1]
    # Where a node is killed its actors are first "unavailable"; where only their process died, Ray says so at once.
    node_died = isinstance(error, ActorUnavailableError | NodeDiedError) or "its node has died" in str(error)
    return WorkerLostError(told, blameless=node_died)
