"""Settings of experiment trackers."""

from __future__ import annotations

from importlib.util import find_spec

from selftrain.config import config_dataclass, setting
from selftrain.errors import SettingsError
from selftrain.trackers.kinds import TRACKERS


@config_dataclass(resumable=True)
class TrackerConfig:
    """Under the names of transformers. Where a tracker keeps what it is told, and who it is, are its own settings."""

    report_to: tuple[str, ...] = setting(
        (),
        f"experiment trackers to tell each round to: {', '.join(TRACKERS)}, or none",
        source="ours; transformers since version 5",
        choices=("none", *TRACKERS),
    )
    project: str = setting("selftrain", "project of the trackers that have projects; mlflow's experiment")
    run_name: str | None = setting(
        None, "the run's name in the trackers; by default that of output_dir", source="transformers"
    )

    @property
    def names(self) -> tuple[str, ...]:
        """Of the trackers, each once."""
        return tuple(dict.fromkeys(name for name in self.report_to if name != "none"))

    def require_packages(self) -> None:
        """
        Raises:
            SettingsError: a tracker is not installed.
        """
        for name in self.names:
            if find_spec(name) is None:
                raise SettingsError(
                    f"report_to names {name}, which is not installed",
                    "it is an optional dependency",
                    f"pip install 'selftrain[{name}]'",
                )
