"""Where sampling and judging are done besides this machine."""

from __future__ import annotations

from dataclasses import dataclass

from selftrain.config import check_at_least_one, check_types, setting
from selftrain.errors import SettingsError


@dataclass(frozen=True, kw_only=True)
class RayConfig:
    """All defaults are ours. What a run comes to does not depend on where it is done: see docs/cluster.md."""

    ray: bool = setting(False, "sample and judge on the machines of a Ray cluster")
    ray_address: str | None = setting(
        None,
        "host:port of its head; by default RAY_ADDRESS, or the cluster that this machine is part of, or this machine "
        "alone",
    )
    ray_workers: int | None = setting(
        None, "workers at most; by default as many as the cluster has room for, and more when nodes join"
    )
    ray_worker_cpus: int = setting(1, "cores of a worker: it computes on so many threads")
    ray_worker_gpus: float = setting(
        0.0,
        "GPUs of a worker; 0.5 puts two on one. Above 0 models answer there only, and this machine needs a GPU to "
        "train alone",
    )

    def __post_init__(self) -> None:
        check_types(self)
        check_at_least_one(self, "ray_worker_cpus")
        if self.ray_workers is not None:
            check_at_least_one(self, "ray_workers")
        if self.ray_worker_gpus < 0:
            raise SettingsError(f"ray_worker_gpus is {self.ray_worker_gpus}", "it counts GPUs", "use 0 or more")
