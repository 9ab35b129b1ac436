from __future__ import annotations

import pytest

from selftrain.engines.packed.compiled_attention import kernels


@pytest.fixture(params=[True, False], ids=["compiled", "by torch"])
def compiled(request: pytest.FixtureRequest) -> bool:
    """Whether attention is the compiled one."""
    if request.param and kernels() is None:
        pytest.skip("no C compiler was there when the package was installed, so nothing is compiled")
    return bool(request.param)
