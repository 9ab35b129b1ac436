"""Errors where there is no Ray, or no cluster."""

from __future__ import annotations

import importlib.util

import pytest

from selftrain.config import settings_of
from selftrain.engines.ray.backend import open_cluster
from selftrain.engines.ray.config import RayConfig
from selftrain.errors import RunError, SettingsError


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="the library ray is installed")
def test_without_the_library_the_message_says_how_to_get_it() -> None:
    with (
        pytest.raises(SettingsError, match=r"pip install 'selftrain\[ray\]'"),
        open_cluster(RayConfig(ray=True), print),
    ):
        pass


def test_without_the_setting_nothing_is_opened() -> None:
    with open_cluster(RayConfig(), print) as ray:
        assert not ray


@pytest.mark.parametrize(
    "wrong", [{"ray_workers": 0}, {"ray_worker_cpus": 0}, {"ray_worker_gpus": -1.0}], ids=lambda one: next(iter(one))
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        RayConfig(**wrong)


def test_a_run_may_be_resumed_elsewhere() -> None:
    assert all(target.resumable for target in settings_of(RayConfig))


@pytest.mark.slow
def test_a_cluster_that_is_not_there_is_an_error_that_names_it() -> None:
    pytest.importorskip("ray")
    with pytest.raises(RunError, match=r"no Ray cluster at 127\.0\.0\.1:9"):  # noqa: SIM117
        with open_cluster(RayConfig(ray=True, ray_address="127.0.0.1:9"), print):
            pass
