"""A Ray cluster of several nodes on this machine: Ray's real processes, each node with given resources."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

#: Ray gives up on a node that does not start within half a minute; on a busy machine it is tried again.
_TRIES = 10


def _patiently(start: Callable[[], Any]) -> Any:
    for tries_left in reversed(range(_TRIES)):
        try:
            return start()
        except Exception as error:
            if not tries_left or "timed out during startup" not in str(error):
                raise
    return None


def add_node(cluster: Any) -> Any:
    """Of one core."""
    return _patiently(lambda: cluster.add_node(num_cpus=1, wait=False, include_log_monitor=False))


@pytest.fixture(scope="package")
def cluster() -> Iterator[Any]:
    """A head without room for workers: tests add nodes, and take them away."""
    pytest.importorskip("ray", reason="needs the library ray: pip install 'selftrain[ray]'")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # Ray would end workers for the memory that other work on this machine takes.
    os.environ["RAY_memory_monitor_refresh_ms"] = "0"  # noqa: SIM112
    import ray
    from ray.cluster_utils import Cluster

    # Without those of Ray's processes that a test does not need.
    head = {"num_cpus": 0, "include_dashboard": False, "include_log_monitor": False, "no_monitor": True}
    # It ends with the fixture, not at exit: for that Ray takes over signals, which only the main thread may, and a test
    # adds nodes in another.
    started = _patiently(lambda: Cluster(initialize_head=True, head_node_args=head, shutdown_at_exit=False))
    ray.init(address=started.address, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield started
    ray.shutdown()
    started.shutdown()


@pytest.fixture
def two_nodes(cluster: Any) -> Iterator[list[Any]]:
    """Of a core each; a test may change what is there. All are gone at its end."""
    nodes = [add_node(cluster) for _ in range(2)]
    yield nodes
    for node in nodes:
        if node in cluster.list_all_nodes():
            cluster.remove_node(node)
