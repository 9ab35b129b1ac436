"""Begins and ends what a run has on a Ray cluster."""

from __future__ import annotations

import importlib.util
import os
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Any

from selftrain.engines.base import Engine
from selftrain.engines.ray.config import RayConfig
from selftrain.errors import RunError, SettingsError
from selftrain.graders import Grader, open_grader
from selftrain.graders.code.config import CodeConfig

if TYPE_CHECKING:
    from selftrain.engines.ray.workers import RayWorkers


#: How long a head may take to answer at all.
KNOCK_SECONDS = 10.0


class RayBackend:
    """Where models and judges are asked: here, or on workers as well."""

    def __init__(self, workers: RayWorkers | None = None) -> None:
        self._workers = workers

    def __bool__(self) -> bool:
        return self._workers is not None

    def engine(self, engine: Engine, device: str, loading: Mapping[str, Any]) -> Engine:
        """
        Args:
            device: of `engine`.
            loading: what a worker loads the same engine by, see `Actor.take_model`.

        Raises:
            SettingsError: models would answer on a GPU here and on processors there.
        """
        if self._workers is None:
            return engine
        if device.startswith("cuda") and not self._workers.settings.ray_worker_gpus:
            raise SettingsError(
                f"{engine.name} computes on {device} here, and a Ray worker is given no GPU",
                "it would answer far more slowly there, and not to the same bits",
                "give --ray_worker_gpus 1, or --device cpu",
            )
        from selftrain.engines.ray.engine import RayEngine

        return RayEngine(engine, self._workers, loading)

    def open_grader(
        self, reward_funcs: Any, *, reward_weights: Sequence[float] | None = None, code: CodeConfig | None = None
    ) -> Grader:
        if self._workers is None:
            return open_grader(reward_funcs, reward_weights=reward_weights, code=code)
        from selftrain.engines.ray.grader import open_spread

        return open_spread(self._workers, reward_funcs, reward_weights, code)


NOWHERE_ELSE = RayBackend()


@contextmanager
def open_cluster(settings: RayConfig, say: Callable[[str], None]) -> Iterator[RayBackend]:
    """Workers are started at once, and are gone at the end; a cluster that was there before stays.

    Raises:
        SettingsError: Ray is not installed. RunError: there is no such cluster.
    """
    if not settings.ray:
        yield NOWHERE_ELSE
        return
    if importlib.util.find_spec("ray") is None:
        raise SettingsError(
            "--ray was given, and the library ray is not installed",
            "it is what starts workers on other machines",
            "pip install 'selftrain[ray]', on every node; or leave --ray out",
        )
    import ray

    from selftrain.engines.ray.workers import RayWorkers

    is_ours = not ray.is_initialized()
    # Ray tells of lost nodes on the standard output, which is for results.
    with redirect_stdout(sys.stderr):
        if is_ours:
            _join(settings.ray_address)
        workers = RayWorkers(settings, say)
        try:
            workers.ready()
            yield RayBackend(workers)
        finally:
            workers.close()
            if is_ours:
                ray.shutdown()


def _join(address: str | None) -> None:
    import ray

    _knock(address or os.environ.get("RAY_ADDRESS", ""))
    # We send nobody any figures; whoever set this to something has decided otherwise.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        ray.init(address=address, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise _not_there(address or os.environ.get("RAY_ADDRESS", "this machine"), error) from error


def _knock(address: str) -> None:
    """Ray itself would wait for minutes where nobody answers."""
    host, _, port = address.rpartition("/")[2].rpartition(":")
    if host and port.isdecimal():
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCK_SECONDS).close()
        except OSError as error:
            raise _not_there(address, error) from error


def _not_there(address: str, error: Exception) -> RunError:
    return RunError(
        f"no Ray cluster at {address}: {error}",
        "--ray needs a head that can be reached from here, with the same versions of Python and ray",
        "start one (ray start --head), check --ray_address, or leave it out for this machine alone",
    )
