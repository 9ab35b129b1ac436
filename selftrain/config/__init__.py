"""One frozen dataclass is at once the Python API, the YAML file and the command-line flags.

    @config_dataclass
    class RestEM:
        num_generations: int = setting(32, "completions per problem (n)", source="ReST-EM, section 4", ge=1)

    RestEM(num_generations=8)                     in Python
    num_generations: 8                            in run.yaml, given as --config run.yaml
    --num_generations 8                           on the command line

In all three places a value is read by the type and the bounds of its setting (`values.py`, `fields.py`).
"""

from selftrain.config.fields import (
    Setting,
    config_dataclass,
    required,
    section_types,
    setting,
    settings_in,
    settings_of,
)
from selftrain.config.given import Given, Origin, from_record
from selftrain.config.resolve import Profiles, Resolved, Sections, from_yaml, parse
from selftrain.config.schema import json_schema
from selftrain.config.values import check_share_or_number

__all__ = [
    "Given",
    "Origin",
    "Profiles",
    "Resolved",
    "Sections",
    "Setting",
    "check_share_or_number",
    "config_dataclass",
    "from_record",
    "from_yaml",
    "json_schema",
    "parse",
    "required",
    "section_types",
    "setting",
    "settings_in",
    "settings_of",
]
