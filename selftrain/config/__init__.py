"""One frozen dataclass is at once the Python API, the YAML file and the command-line flags.

    @dataclass(frozen=True, kw_only=True)
    class RestEM:
        num_generations: int = setting(32, "answers drawn for each problem", source="ReST-EM, section 4")

        def __post_init__(self) -> None:
            check_types(self)

    RestEM(num_generations=8)                     in Python
    num_generations: 8                            in run.yaml, given as --config run.yaml
    --num_generations 8                           on the command line

A value is read by the type of its setting, by the same rules in all three places (`values.py`).
"""

from selftrain.config.fields import Setting, check_at_least_one, check_types, required, setting, settings_of
from selftrain.config.given import Origin
from selftrain.config.resolve import Command, Resolved, from_yaml, parse

__all__ = [
    "Command",
    "Origin",
    "Resolved",
    "Setting",
    "check_at_least_one",
    "check_types",
    "from_yaml",
    "parse",
    "required",
    "setting",
    "settings_of",
]
