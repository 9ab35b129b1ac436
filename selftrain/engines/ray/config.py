"""Settings of a Ray cluster. Imports nothing heavy."""

from __future__ import annotations

from importlib.util import find_spec

from selftrain.config import config_dataclass, setting
from selftrain.errors import SettingsError


@config_dataclass(resumable=True)
class RayConfig:
    """All defaults are ours. A run's results do not depend on them: see docs/cluster.md."""

    ray: bool = setting(False, "sample and grade on the machines of a Ray cluster")
    ray_address: str | None = setting(
        None,
        "host:port of the cluster's head; by default RAY_ADDRESS, or the cluster this machine belongs to, or a "
        "new one on this machine alone",
    )
    ray_workers: int | None = setting(
        None, "maximum workers; by default as many as the cluster has room for, growing as nodes join", ge=1
    )
    ray_worker_cpus: int = setting(1, "CPU cores, and threads, of each worker", ge=1)
    ray_worker_gpus: float = setting(
        0.0,
        "GPUs of each worker; 0.5 puts two on one GPU. Above 0, responses are generated on workers only, and this "
        "machine needs a GPU only to train",
        ge=0,
    )

    def require_packages(self) -> None:
        """
        Raises:
            SettingsError: Ray is needed, and not installed.
        """
        if self.ray and find_spec("ray") is None:
            raise SettingsError(
                "--ray was given, and the library ray is not installed",
                "it starts the workers on other machines",
                "pip install 'selftrain[ray]', on every node; or leave --ray out",
            )
