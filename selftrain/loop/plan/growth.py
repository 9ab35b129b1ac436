"""How the time of some work grows with its size, from a few sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from selftrain.types import Response

#: Seconds that one measurement may take, as far as those before tell; it is as many times as large as the last.
BUDGET, GROWTH = 8.0, 4


@dataclass
class Seen:
    """What some sampling came to."""

    responses: int = 0
    tokens: int = 0
    truncated: int = 0
    seconds: float = 0.0
    #: Of the table that the responses make.
    bytes: float = 0.0

    def count(self, responses: Sequence[Response], fresh: bool) -> None:
        self.responses += len(responses)
        self.tokens += sum(len(response.token_ids) for response in responses)
        self.truncated += sum(response.truncated for response in responses)

    @property
    def length(self) -> float:
        return self.tokens / max(1, self.responses)


@dataclass(frozen=True)
class Growth:
    """What more and more of the same work came to; the last two tell how time grows."""

    seen: list[Seen] = field(default_factory=list)
    #: `slope` where a single measurement cannot tell; None takes that one in proportion.
    shared: float | None = None

    @property
    def last(self) -> Seen:
        return self.seen[-1]

    @property
    def slope(self) -> float:
        """Seconds of one more response, in a batch that is not full."""
        if len(self.seen) == 1 and self.shared is not None:
            return self.shared
        last, before = self.last, self.seen[-2] if len(self.seen) > 1 else Seen()
        grown = last.responses - before.responses
        return max(0.0, last.seconds - before.seconds) / grown if grown > 0 else last.seconds / last.responses

    @property
    def may_grow(self) -> bool:
        more = (GROWTH - 1) * self.last.responses
        # Of a single measurement it is not known how much all answers share.
        slope = self.slope / (GROWTH if len(self.seen) == 1 and self.shared is None else 1)
        return self.last.seconds + slope * more <= BUDGET

    def seconds(self, responses: float, at_once: float) -> float:
        """What so many would take.

        Args:
            at_once: responses of one batch. A batch that is not full costs less, but not in proportion; so time is
                extended to a full batch along a line, and from there on in proportion.
        """
        last, full = self.last, min(at_once, responses)
        in_full = last.seconds + self.slope * (full - last.responses)
        return (last.seconds / last.responses if last.responses >= full else in_full / full) * responses
