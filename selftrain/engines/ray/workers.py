"""The actors of a run: started where the cluster has room, used while they live, replaced when they die."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ray
from ray.exceptions import ActorUnavailableError, GetTimeoutError, NodeDiedError, RayError, RayTaskError

from selftrain.engines.ray.actor import Actor, Numerics, versions
from selftrain.engines.ray.config import RayConfig
from selftrain.engines.ray.weights import StoredWeights
from selftrain.engines.workers import MAX_DEATHS, WorkerLostError
from selftrain.errors import RunError, SelftrainError

#: Seconds between two looks at what the cluster has room for.
LOOK_EVERY = 2.0
#: Seconds without any worker after which a line says so.
PATIENCE = 60.0
#: Seconds without a task after which a worker is pinged before it gets one.
IDLE = 2.0


class RayWorker:
    """One actor. It is ready once its process runs; models and graders are loaded when they are first used."""

    def __init__(self, config: RayConfig) -> None:
        device = "cuda" if config.ray_worker_gpus else "cpu"
        # Not restarted by Ray: a restarted actor would have lost its models. Spread over nodes, so that the loss of one
        # costs few.
        options = {
            "num_cpus": config.ray_worker_cpus,
            "num_gpus": config.ray_worker_gpus,
            "max_restarts": 0,
            "scheduling_strategy": "SPREAD",
        }
        self._actor: Any = ray.remote(Actor).options(**options).remote(config.ray_worker_cpus, device)
        self._started = self._actor.ping.remote()
        #: Version of the weights that it has, by model key.
        self._versions: dict[str, int] = {}
        self.is_ready, self.is_lost = False, False
        self.node = ""
        self.tasks_done, self._last_reply = 0, time.monotonic()

    @property
    def address(self) -> str:
        """Of its node."""
        found = next((node for node in ray.nodes() if node["NodeID"] == self.node), None)
        return self.node if found is None else str(found["NodeManagerAddress"])

    def check_started(self) -> None:
        """Sets `is_ready` if its process runs by now.

        Raises:
            WorkerLostError: it died.
            RunError: its node has other versions.
        """
        try:
            self.node, found = ray.get(self._started, timeout=0)
        except GetTimeoutError:
            return
        except RayError as error:
            raise _lost(error) from error
        if found != versions():
            raise RunError(
                f"a worker on {self.address} has {found}, and this machine has {versions()}",
                "its responses could differ from those of this machine",
                "install the same versions on every node",
            )
        self.is_ready = True

    def load_model(self, key: str, weights: StoredWeights, arguments: Mapping[str, Any]) -> Numerics | None:
        """Loads a model or its new weights, where the worker has others; else returns None.

        Args:
            arguments: further ones of `Actor.load_model`.
        """
        if self._versions.get(key) == weights.version:
            return None
        found: Numerics = self.call("load_model", key=key, files=weights.files, **arguments)
        self._versions[key] = weights.version
        return found

    def call(self, method: str, **arguments: Any) -> Any:
        """Calls a method of the actor, and waits for the result.

        Raises:
            WorkerLostError: it died. Whatever the method raised.
        """
        self._ping_if_idle()
        try:
            found = ray.get(getattr(self._actor, method).remote(**arguments))
            self.tasks_done, self._last_reply = self.tasks_done + 1, time.monotonic()
            return found
        except RayTaskError as error:
            cause = error.cause
            if isinstance(cause, SelftrainError):
                raise type(cause)(f"{cause.found} (a worker on {self.address})", cause.why, cause.do) from error
            if isinstance(cause, RayError):
                raise _lost(error) from error
            raise
        except RayError as error:
            raise _lost(error) from error

    def _ping_if_idle(self) -> None:
        """A worker that died while it was idle did not die of the next task."""
        if time.monotonic() - self._last_reply > IDLE:
            try:
                ray.get(self._actor.ping.remote())
            except RayError as error:
                raise WorkerLostError(str(error), blameless=True) from error

    def close(self) -> None:
        ray.kill(self._actor)


class RayWorkers:
    """The workers of a run. All its models and graders share them: separate ones would wait for each other's cores."""

    def __init__(self, config: RayConfig, say: Callable[[str], None]) -> None:
        self.config, self._say = config, say
        self._workers: list[RayWorker] = []
        self._lock = threading.Lock()
        self._looked, self._ready_at = float("-inf"), time.monotonic()
        self._deaths_at_start = 0
        #: Workers that were lost, and tasks that they had done.
        self._lost, self._tasks_of_lost = 0, 0
        self._said: set[str] = set()
        #: Ends what has the room of workers, unless it is at work.
        self._take_back: Callable[[], bool] | None = None

    @property
    def count(self) -> int:
        """Workers that are ready, and those that wait for room."""
        return len(self._workers)

    @property
    def tasks_done(self) -> int:
        return self._tasks_of_lost + sum(worker.tasks_done for worker in self._workers)

    def ready(self) -> Sequence[RayWorker]:
        with self._lock:
            if self._take_back is not None and self._take_back():
                self._take_back = None
            if time.monotonic() - self._looked > LOOK_EVERY:
                self._look()
                self._looked = time.monotonic()
            return self._alive()

    def works_locally(self) -> bool:
        """Only while there is no worker; where responses are to come from GPUs, only while a training has these."""
        return not self._alive() and (self.config.ray_worker_gpus == 0 or self._take_back is not None)

    def lend(self, number: int, take_back: Callable[[], bool]) -> None:
        """Ends so many workers, and all that are not ready, so that a training has their room.

        Args:
            take_back: called when there is work: ends what has the room, or returns False while it is at work.
        """
        with self._lock:
            self._take_back = take_back
            ready = self._alive()
            # The GPU of a process may be shared by several workers.
            stay = ready[number:] if self.config.ray_worker_gpus in (0, 1) else []
            for worker in self._workers:
                if worker not in stay:
                    self._tasks_of_lost += worker.tasks_done
                    worker.close()
            self._workers = stay

    def say(self, line: str) -> None:
        self._say(line)

    def say_once(self, line: str) -> None:
        with self._lock:
            if line not in self._said:
                self._said.add(line)
                self._say(line)

    def close(self) -> None:
        with self._lock:
            for worker in self._workers:
                worker.close()
            lost = f"; {self._lost:,} were lost" if self._lost else ""
            self._say(f"ray: workers did {self.tasks_done:,} tasks, {len(self._alive()):,} are released{lost}")
            self._workers = []

    def _alive(self) -> list[RayWorker]:
        return [worker for worker in self._workers if worker.is_ready and not worker.is_lost]

    def _look(self) -> None:
        """Notices workers that became ready or were lost, and starts new ones.

        Raises:
            RunError: workers die as they start.
        """
        for worker in self._workers:
            if worker.is_lost:
                self._say(f"ray: a worker on {worker.address} is lost; its task is repeated elsewhere")
                worker.close()
                self._lost, self._tasks_of_lost = self._lost + 1, self._tasks_of_lost + worker.tasks_done
            elif not worker.is_ready:
                self._check_started(worker)
        self._workers = [worker for worker in self._workers if not worker.is_lost]
        pending = sum(not worker.is_ready for worker in self._workers)
        limit = self.config.ray_workers
        # Pending ones stay: nothing waits for them, and Ray starts them once there is room.
        wanted = _room(self.config) - pending
        if limit is not None:
            wanted = min(wanted, limit - len(self._workers))
        self._workers += [RayWorker(self.config) for _ in range(wanted)]
        self._say_if_none()

    def _check_started(self, worker: RayWorker) -> None:
        try:
            worker.check_started()
        except WorkerLostError as lost:
            worker.is_lost = True
            self._deaths_at_start += not lost.blameless
            if self._deaths_at_start >= MAX_DEATHS:
                raise RunError(
                    f"{MAX_DEATHS} Ray workers died while they started",
                    str(lost),
                    "check that selftrain is installed on every node, and that it can be imported there",
                ) from lost
        if worker.is_ready:
            self._deaths_at_start = 0
            self._say(f"ray: a worker on {worker.address} is ready, {len(self._alive())} in all")

    def _say_if_none(self) -> None:
        if self._alive() or self._take_back is not None:
            self._ready_at = time.monotonic()
        elif time.monotonic() - self._ready_at > PATIENCE:
            self._ready_at = time.monotonic()
            self._say(
                f"ray: no worker for {PATIENCE:.0f} s; one needs {self.config.ray_worker_cpus} CPUs and "
                f"{self.config.ray_worker_gpus:g} GPUs, and the cluster has {_text(ray.cluster_resources())}, "
                f"of which {_text(ray.available_resources())} are free"
            )


def _room(config: RayConfig) -> int:
    """Workers that the cluster could start now, as far as sums over nodes tell."""
    free = ray.available_resources()
    by_cpus = free.get("CPU", 0) / config.ray_worker_cpus
    return int(min(by_cpus, free.get("GPU", 0) / config.ray_worker_gpus) if config.ray_worker_gpus else by_cpus)


def _text(resources: dict[str, float]) -> str:
    return f"{resources.get('CPU', 0):g} CPUs and {resources.get('GPU', 0):g} GPUs"


def _lost(error: RayError) -> WorkerLostError:
    message = str(error).strip().splitlines()[-1]
    # When a node is lost, Ray first reports its actors as "unavailable"; when only their process died, as dead.
    node_died = isinstance(error, ActorUnavailableError | NodeDiedError) or "its node has died" in str(error)
    return WorkerLostError(message, blameless=node_died)
