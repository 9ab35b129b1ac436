"""What a program in Python is told while a run runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from selftrain.errors import RunError, SelftrainError
from selftrain.report.round_record import RoundRecord
from selftrain.storage import Record
from selftrain.types import Sample


class Callback:
    """Override what you need.

    class Few(selftrain.Callback):
        def on_round_end(self, record):
            print(record.round, record.validation_score, record.sampling and record.sampling.kept)

    selftrain.SelfTrainer(..., callbacks=[Few()]).train(resume=True)

    What a callback raises stops the run: everything before it is saved, and `train(resume=True)` continues, beginning
    with what the callback did not take.
    """

    def on_round_end(self, record: RoundRecord) -> None:
        """A round is finished and recorded; round 0 is the base model.

        Args:
            record: of one model; where several learn, this is called for each, and for each team. A round that is
                evaluated after the last one comes again, with its metrics.
        """

    def on_samples(self, number: int, samples: Sequence[Sample]) -> None:
        """Samples were drawn and graded. A round comes in parts of some problems; after a resume they may come again.

        Args:
            number: of the round, from 1.
            samples: kept ones and dropped ones, of all models.
        """


class Callbacks:
    """An observer of a run (`selftrain.loop.run.Observer`). The rounds that all have taken are noted in the journal."""

    def __init__(self, callbacks: Sequence[Callback], record: Record) -> None:
        self._callbacks, self._record = callbacks, record

    def see(self, step: str, records: Sequence[RoundRecord]) -> None:
        """
        Raises:
            RunError: a callback raised something.
        """
        noted = f"callbacks/{step}"
        if not self._callbacks or self._record.metadata(noted) is not None:
            return
        for callback in self._callbacks:
            for record in records:
                _call(callback, "on_round_end", partial(callback.on_round_end, record), f"round {record.round}")
        self._record.finish(noted, {})

    def see_samples(self, number: int, samples: Sequence[Sample]) -> None:
        """
        Raises:
            RunError: a callback raised something.
        """
        for callback in self._callbacks:
            _call(callback, "on_samples", partial(callback.on_samples, number, samples), f"what round {number} sampled")


def open_callbacks(callbacks: Sequence[Callback], record: Record) -> Callbacks:
    """They are told the rounds that an earlier process finished and did not tell.

    Raises:
        RunError: one raised something.
    """
    told = Callbacks(callbacks, record)
    for step, lines in record.finished_rounds():
        told.see(step, [RoundRecord.from_dict(line, "a round in the journal") for line in lines])
    return told


def _call(callback: Callback, name: str, told: Callable[[], None], what: str) -> None:
    try:
        told()
    except SelftrainError:  # it stops the run itself, and says why
        raise
    except Exception as error:
        raise RunError(
            f"{type(callback).__name__}.{name} raised {type(error).__name__}: {error}",
            f"the run stops here; {what} is saved",
            "mend the callback, then continue with train(resume=True)",
        ) from error
