"""How model-written code is judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from selftrain.config import check_types, setting
from selftrain.errors import SettingsError


@dataclass(frozen=True, kw_only=True)
class CodeConfig:
    """Only looked at where the judge is 'code'."""

    run_model_code: Literal["sandboxed", "unsandboxed"] = setting(
        "sandboxed",
        "'unsandboxed' runs code that a model wrote with limits on time and memory only, where no sandbox holds; it is "
        "written into the run's record and every report",
        flag_only=True,
    )
    held_back_tests: float = setting(
        0.25, "share of a problem's tests that never give reward; at least one where there are two, none for 0"
    )
    weak_tests: Literal["exclude", "include"] = setting(
        "exclude",
        "tests that ask a program for more than plain calls can be fooled: 'exclude' leaves what passes them unjudged, "
        "'include' believes them where the program fails the same test with its expected values shifted",
    )
    test_timeout: float = setting(1.5, "seconds that a program has for one test, one input or one list of calls")

    def __post_init__(self) -> None:
        check_types(self)
        if not 0 <= self.held_back_tests < 1:
            raise SettingsError(
                f"held_back_tests is {self.held_back_tests}", "some tests have to give reward", "use 0 up to below 1"
            )
        if not 0 < self.test_timeout <= 600:
            raise SettingsError(f"test_timeout is {self.test_timeout}", "it has to be above 0 and at most 600 seconds")
