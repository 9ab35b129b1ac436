"""Whether the Hugging Face Hub can be reached. Where it cannot, what is in its cache is used at once."""

from __future__ import annotations

import time

#: Seconds that the hub has to answer, and seconds until it is asked again; ours.
_PATIENCE, _AGAIN = 5.0, 60.0


class _Hub:
    def __init__(self) -> None:
        #: When it was last asked, and whether it was found to be out of reach.
        self._asked, self._away = float("-inf"), False

    def look(self) -> None:
        from huggingface_hub import constants, get_session

        # Somebody else's choice stays: HF_HUB_OFFLINE.
        if (constants.HF_HUB_OFFLINE and not self._away) or time.monotonic() - self._asked < _AGAIN:
            return
        constants.HF_HUB_OFFLINE = False
        try:
            get_session().head(constants.ENDPOINT, timeout=_PATIENCE)
            self._away = False
        except Exception:  # whatever the HTTP library of huggingface_hub raises
            self._away = constants.HF_HUB_OFFLINE = True
        self._asked = time.monotonic()


_HUB = _Hub()


def look_for_hub() -> None:
    """Called before anything is read from the hub. While that is out of reach, huggingface_hub is in its offline mode:
    else it asks for each file six times, half a minute a file, and then uses the cache or fails all the same.
    """
    _HUB.look()
