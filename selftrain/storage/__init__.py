"""A run's folder: what a run writes to disk, and how it is read back.

    run/
      settings.yaml        the resolved settings, loadable by --config
      environment.json     versions, machine, models, data, how columns were read
      problems.parquet     every problem with its part: train, validation, shot or evaluation
      rounds.jsonl         one line a round and model, round 0 is the untouched model
      timings.jsonl        what each round spent its seconds on
      samples/round-0001.parquet       every sample drawn for training, with its fate
      evaluations/round-0000.parquet   every answer given in an evaluation
      weights/round-0001/  loadable by plain `from_pretrained`
      checkpoint/          weights between evaluated rounds and states of optimizers, to go on from
      best -> weights/...  the round with the highest reward on the validation problems
      report.html
      log.txt              all that was said, with the time
      journal, logs/, ...  what is finished, and answers on their way there: see selftrain/durable

`RunFolder` reads, `Record` writes. What the journal says is finished is never done again, and what is asked within a
step is remembered answer by answer, so that a run can be killed at any instruction and taken up again.
"""

from selftrain.storage.answer_cache import AnswerCache, remember_grade
from selftrain.storage.fork_rounds import shareable_rounds
from selftrain.storage.record import Record, Told
from selftrain.storage.rows import sample_row
from selftrain.storage.run_folder import RunFolder, merged

__all__ = ["AnswerCache", "Record", "RunFolder", "Told", "merged", "remember_grade", "sample_row", "shareable_rounds"]
