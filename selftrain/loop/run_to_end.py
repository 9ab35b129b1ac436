"""All rounds of a run, and what is written when they are done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from selftrain.loop.checkpoints import keep_best_alone
from selftrain.loop.result import Result
from selftrain.loop.round_loop import RoundLoop
from selftrain.loop.run import Observer, Run
from selftrain.report.history import read_history
from selftrain.report.run_report import write_report
from selftrain.storage.typed_json import to_plain


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
        history = (
            read_history(record.folder, record.metadata("done")) if record.is_done else RoundLoop(run, observers).run()
        )
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
