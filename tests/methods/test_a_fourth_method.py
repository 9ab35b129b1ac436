"""A throw-away method costs one file and one registry line, and gets command, flags, YAML and the loop for nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from selftrain.models.seeds import seed_model
from selftrain.storage import RunFolder

#: The one file: self-training on what most of a model's own answers agree on. It needs no grader.
PAGE = """
from collections import Counter, defaultdict
from typing import ClassVar

from selftrain.evaluation import EvalConfig
from selftrain.training.base import TrainingConfig
from selftrain.methods.base import collected_from
from selftrain.config import config_dataclass, setting
from selftrain.types import Collected, Round, SamplingParams, Score
from selftrain.methods.filters import drop, with_scores


@config_dataclass
class Majority:
    num_rounds: int = setting(1, "rounds", ge=1)
    num_generations: int = setting(8, "answers drawn for each problem")
    max_completion_length: int = setting(64, "tokens an answer may have")
    problems_per_round: int | None = setting(None, "problems drawn each round")

    name: ClassVar[str] = "majority"
    summary: ClassVar[str] = "train on what most answers agree on"
    needs_grader: ClassVar[bool] = False
    needs_peers: ClassVar[bool] = False
    collects_by_problem: ClassVar[bool] = True
    training: ClassVar[TrainingConfig] = TrainingConfig()
    evaluation: ClassVar[EvalConfig] = EvalConfig()

    @property
    def sampling(self) -> SamplingParams:
        return SamplingParams(0.7, 40, 1.0, self.max_completion_length)

    def collect(self, round: Round) -> Collected:
        (learner,) = round.learners
        responses = learner.sample(round.prompts, self.num_generations, self.sampling, round.key)
        votes = defaultdict(Counter)
        for r in responses:
            votes[r.prompt.problem_id][r.text.rpartition("####")[2].strip()] += 1
        samples = with_scores(responses, [Score(None, r.text.rpartition("####")[2].strip()) for r in responses])
        winner = {problem: counts.most_common(1)[0][0] for problem, counts in votes.items()}
        samples = drop(samples, "outvoted", lambda s: s.score.extracted_answer != winner[s.response.prompt.problem_id])
        return collected_from(samples, learner.name)
"""
#: The registry line, as it would stand in selftrain/methods/__init__.py, and the command.
RUN = """
import sys
import selftrain.methods as methods
from majority import Majority
methods.METHODS["majority"] = Majority
methods.PROFILES["majority"] = {"recommended": {}, "faithful": {}}
from selftrain.__main__ import main
sys.exit(main())
"""


def test_a_fourth_method_is_one_file_and_one_line(here: Path) -> None:
    Path("majority.py").write_text(PAGE)
    Path("run.py").write_text(RUN)
    words = ["majority", "--model_name_or_path", seed_model("llama"), "--dataset_name", "word_problems", "--output_dir",
             "run", "--max_train_samples", "40", "--max_eval_samples", "12", "--num_generations_eval", "1",
             "--learning_rate", "3e-4", "--num_train_epochs", "1"]  # fmt: skip
    done = subprocess.run([sys.executable, "run.py", *words], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    folder = RunFolder.open("run")
    assert [line["round"] for line in folder.rounds()] == [0, 1]
    fates = dict(folder.query("select drop_reason, count(*) from samples group by 1").fetchall())
    assert set(fates) == {None, "outvoted"} and sum(fates.values()) == 36 * 8
    # No label was looked at: not to stop, not to choose, and D_val was asked all the same.
    assert folder.query(
        "select count(*) from problems where part <> 'evaluation' and reference is not null"
    ).fetchall() == [(0,)]
    last = folder.rounds()[1]
    assert last["validated_by"] == "consensus" and last["training"]["validation_metric"] == []
