"""Settings of the code grader."""

from __future__ import annotations

from typing import Literal

from selftrain.config import config_dataclass, setting


@config_dataclass
class CodeConfig:
    """Read where the grader is 'code'."""

    run_model_code: Literal["sandboxed", "unsandboxed"] = setting(
        "sandboxed",
        "'unsandboxed' runs model-written code with limits on time and memory only, where no sandbox works; recorded "
        "in the run and in every report",
        flag_only=True,
        resumable=True,
    )
    held_back_tests: float = setting(
        0.25,
        "share of a problem's tests that never give reward; at least one where there are two, none for 0",
        ge=0,
        lt=1,
    )
    weak_tests: Literal["exclude", "include"] = setting(
        "exclude",
        "tests that are more than plain calls can be fooled: 'exclude' leaves programs that pass them unjudged, "
        "'include' trusts them where the program fails the same test with its expected values shifted",
    )
    test_timeout: float = setting(
        1.5,
        "seconds of its own, processor time and sleep, that a program has for one test, input or list of calls; at "
        "least three times what the problem's own solution takes",
        gt=0,
        le=600,
    )
