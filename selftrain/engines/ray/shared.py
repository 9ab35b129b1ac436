"""Whether all nodes of a cluster see a folder of this machine."""

from __future__ import annotations

from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from selftrain.errors import SettingsError

#: Seconds that a node may take to say so.
ANSWERS = 120.0


def nodes_with(resources: dict[str, float]) -> list[dict[str, Any]]:
    """Those that live and could have a process of these resources."""
    import ray

    return [
        node for node in ray.nodes()
        if node["Alive"] and all(node["Resources"].get(name, 0) >= value for name, value in resources.items())
    ]  # fmt: skip


def require_shared(folder: Path, resources: dict[str, float]) -> None:
    """
    Raises:
        SettingsError: a node that could have a process of these resources does not see the folder.
    """
    import ray
    from ray.exceptions import GetTimeoutError, RayError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    place = next(parent for parent in (folder, *folder.parents) if parent.is_dir())
    with NamedTemporaryFile(dir=place, prefix=".selftrain-") as mark:
        asked = []
        for node in nodes_with(resources):
            there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            look = ray.remote(_sees).options(num_cpus=0, scheduling_strategy=there)
            asked.append((node["NodeManagerAddress"], look.remote(mark.name)))
        for address, answer in asked:
            try:
                seen = ray.get(answer, timeout=ANSWERS)
            except (GetTimeoutError, RayError):
                continue  # it may be on its way out; a process that starts on it looks again
            if not seen:
                raise not_shared(address, folder)


def _sees(file: str) -> bool:
    return Path(file).exists()


def not_shared(address: str, folder: Path) -> SettingsError:
    return SettingsError(
        f"node {address} does not see the run's folder {folder}",
        "processes of a training on a Ray cluster take weights from it, and write checkpoints into it",
        "give an --output_dir that all nodes share, or --training_processes 1, which trains on this machine",
    )
