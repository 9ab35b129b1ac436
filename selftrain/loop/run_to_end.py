"""All rounds of a run, and what is written when they are done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from selftrain.loop.checkpoints import keep_best_alone
from selftrain.loop.result import Result
from selftrain.loop.round_loop import RoundLoop
from selftrain.loop.run import Observer, Run
from selftrain.report.best_round import BestRound
from selftrain.report.history import RunHistory
from selftrain.report.round_record import read_rounds
from selftrain.report.run_report import write_report
from selftrain.storage import Record
from selftrain.storage.typed_json import from_plain, to_plain


def run_to_end(run: Run, models: Mapping[str, str], observers: Sequence[Observer] = ()) -> Result:
    """
    Args:
        models: name -> folder or hub id of each base model.
        observers: are shown each round.

    Raises:
        StoppedError: it was told to stop, or its budget is used up.
    """
    record = run.context.record
    with run.context.stops.handling_signals():
        history = finished_history(record) if record.is_done else RoundLoop(run, observers).run()
        best = to_plain(history.best)
        record.point_best(best, models)
        write_report(record, history)
        record.finish("done", best)
        # Only now: until a run is done, it may have to go on from what is dropped here.
        if run.context.stops.budget.keep_weights == "best":
            keep_best_alone(
                record, run.settings.method.num_rounds, history.best.headline_round if history.best else None
            )
        record.discard_answers(range(run.settings.method.num_rounds + 1))
        return Result(record.folder.path, history)


def finished_history(record: Record) -> RunHistory:
    """The history of a finished run."""
    best = from_plain(BestRound, record.metadata("done"), "the end of the journal")
    return RunHistory(read_rounds(record.folder), best)
