"""Settings of what a run gives away at its end."""

from __future__ import annotations

from selftrain.config import config_dataclass, setting
from selftrain.errors import SettingsError


@config_dataclass(resumable=True)
class HubConfig:
    """Under the names of transformers. The token is that of `hf auth login`, or of the variable HF_TOKEN."""

    push_to_hub: bool = setting(
        False, "upload the best round to the hub when the run ends, with its model card", source="transformers"
    )
    hub_model_id: str | None = setting(
        None,
        "repository on the hub, as owner/name; by default the name of output_dir, of the token's owner; of several "
        "models each has one, with its name at the end",
        source="transformers",
    )
    hub_private_repo: bool = setting(
        True, "create the repository as a private one; one that is there stays as it is", source="ours, to be safe"
    )

    def require_token(self) -> None:
        """
        Raises:
            SettingsError: nothing could be pushed.
        """
        if not self.push_to_hub:
            return
        from huggingface_hub import constants, get_token

        if constants.is_offline_mode():
            raise SettingsError("push_to_hub is set, and HF_HUB_OFFLINE as well", do="unset one of them")
        if get_token() is None:
            raise SettingsError(
                "push_to_hub is set, and there is no token of the hub",
                "it takes no upload from somebody it does not know",
                "hf auth login, or set HF_TOKEN to a token that can write",
            )
