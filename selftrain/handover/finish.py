"""What a run leaves for others when it ends or stops."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from selftrain.handover.card import write_cards
from selftrain.handover.config import HubConfig
from selftrain.handover.push import push_best
from selftrain.storage import Record


@contextmanager
def handing_over(record: Record, hub: HubConfig, say: Callable[[str], None]) -> Iterator[None]:
    """At its end model cards are written, also of a run that stops; one that is finished is pushed where asked for."""
    try:
        yield
    finally:
        write_cards(record, say)
    push_best(record.folder, hub, say)
