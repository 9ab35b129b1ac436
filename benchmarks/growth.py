"""How memory and time grow with a run: peak memory with the number of samples, time with problems, samples and weights.

    python -m benchmarks.growth [--counts 1000 10000 100000] [--model_counts 1000 10000] [--repeats 3]

Each figure of memory comes from a process of its own, which does one of four things, each more than the one before:
answers and throws the answers away; answers; answers in a step of a run, with every answer written down; and a whole
round of ReST-EM up to its training, with the judge and the table of samples. What was held before the first answer is
taken off. The toy model answers with a word, so that what grows is the frame's; the model is a Llama of one narrow
layer whose answers have about 40 tokens. Prints figures; asserts nothing.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from benchmarks.models import SAMPLING, SIZES, make_model
from benchmarks.peers.process import ROOT
from benchmarks.turns import here, machine, one_core, table, take_turns
from selftrain.engines.config import EngineConfig
from selftrain.engines.request import GenerateRequest
from selftrain.graders import open_grader
from selftrain.loop.collect import collect_round
from selftrain.loop.learner import Learner
from selftrain.loop.model_factory import ModelFactory
from selftrain.loop.round_record import sample_rows
from selftrain.methods import RestEM
from selftrain.methods.filters import with_scores
from selftrain.models.prompts import PromptConfig, make_prompts
from selftrain.problems import load_problems
from selftrain.storage import AnswerCache, Record, cached_grade
from selftrain.types import Problem, Round
from tests.toys.engine import ToyEngine
from tests.toys.model import ToyModel, toy_problems
from tests.toys.trainer import ToyTrainer

NARROW = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 1}
TOY, MODEL = "toy", "model"
#: Answers a problem.
EACH = 20
THINGS = ("answers thrown away", "answers", "answers, recorded", "a round up to its training")


@contextmanager
def learner_of(shape: dict[str, int], answer_cache: AnswerCache) -> Iterator[Learner]:
    loaded = make_model(shape)
    with tempfile.TemporaryDirectory() as folder:
        loaded.model.save_pretrained(folder)
        loaded.tokenizer.save_pretrained(folder)
        learner = ModelFactory(PromptConfig(), EngineConfig(sampling_processes=1)).load(
            folder, "model", answer_cache=answer_cache
        )
        with closing(learner):
            yield learner


def resident(what: str) -> int:
    """Bytes of this process's memory: VmRSS now, VmHWM at most so far."""
    found = re.search(rf"^{what}:\s+(\d+) kB$", Path("/proc/self/status").read_text(), flags=re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


@dataclass(frozen=True)
class Doing:
    """What a process does whose memory is looked at."""

    learner: Learner
    answer_cache: AnswerCache
    problems: list[Problem]
    folder: Path

    def do(self, thing: str) -> int:
        """Bytes that the peak rose by."""
        prompts = make_prompts(self.problems)
        with Record.create(self.folder / "run", {}, self.answer_cache) as record, open_grader("math") as grader:
            by_id = {problem.id: problem for problem in self.problems}
            grade = cached_grade(self.answer_cache, lambda some: grader.grade(some, by_id))
            # What is loaded at first use is no growth.
            first = self.learner.sample(prompts[:1], 1, SAMPLING, "first")
            with record.writing_samples(0) as rows:
                rows(sample_rows(with_scores(first, grade(first)), 0, by_id))
            before = resident("VmRSS")
            Path("/proc/self/clear_refs").write_text("5")  # the peak so far counts no more
            with record.caching_answers(1, "samples") if thing in THINGS[2:] else nullcontext():
                if thing == THINGS[0]:
                    engine = self.learner.engine
                    requests = [
                        GenerateRequest([prompts[i] for i in batch], EACH, SAMPLING, "grow")
                        for batch in engine.plan(prompts, EACH)
                    ]
                    for _ in engine.generate_batches(requests):
                        pass
                elif thing == THINGS[3]:
                    method = RestEM(num_generations=EACH, stop_at_cap=False, max_completion_length=96)
                    now = Round(1, self.problems, prompts, [self.learner], grade, 1)
                    with record.writing_samples(1) as rows:
                        collect_round(
                            method, now, EngineConfig().problems_at_once, lambda some: rows(sample_rows(some, 1, by_id))
                        )
                else:
                    kept = self.learner.sample(prompts, EACH, SAMPLING, "grow")
                    assert len(kept) == EACH * len(prompts)
            return resident("VmHWM") - before


def grow(kind: str, thing: str, count: int) -> int:
    answer_cache = AnswerCache()
    with tempfile.TemporaryDirectory() as folder:
        if kind == TOY:
            toy = ToyModel()
            learner = Learner(ToyEngine(toy), ToyTrainer(toy), "base", answer_cache=answer_cache)
            return Doing(learner, answer_cache, toy_problems(count // EACH), Path(folder)).do(thing)
        problems = list(load_problems("word_problems", max_problems=count // EACH))
        with learner_of(NARROW, answer_cache) as learner:
            return Doing(learner, answer_cache, problems, Path(folder)).do(thing)


def in_a_process(kind: str, thing: str, count: int) -> int:
    command = [sys.executable, "-m", "benchmarks.growth", "--one", kind, thing, str(count)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return int(json.loads(done.stdout.splitlines()[-1]))


def memory_table(counts: dict[str, list[int]]) -> str:
    lines = []
    for kind, some in counts.items():
        for thing in THINGS:
            found = {count: in_a_process(kind, thing, count) for count in some}
            print(kind, thing, found, file=sys.stderr, flush=True)
            least, most = min(some), max(some)
            each = (found[most] - found[least]) / (most - least)
            cells = ", ".join(f"{count:,}: {rise / 1e6:.0f} MB" for count, rise in found.items())
            lines.append([kind, thing, cells, f"{each:,.0f}"])
    return table(("", "what is done", "memory above the start, at most, by samples", "bytes a further sample"), lines)


def time_table(repeats: int) -> str:
    """Processor time of sampling: it should grow with the tokens, and with nothing else."""
    asked: dict[str, tuple[dict[str, int], int, int]] = {
        f"narrow model, {problems} problems, {samples} samples each": (NARROW, problems, samples)
        for problems, samples in ((25, 16), (100, 16), (400, 16), (100, 4), (100, 64))
    }
    asked |= {f"{size}, 25 problems, 16 samples each": (shape, 25, 16) for size, shape in SIZES.items()}
    lines = []
    for name, (shape, problems, samples) in asked.items():
        prompts = make_prompts(load_problems("word_problems", max_problems=problems))
        with learner_of(shape, AnswerCache()) as learner:

            def sample(learner: Learner = learner, samples: int = samples, prompts: list = prompts) -> int:  # type: ignore[type-arg]
                return sum(len(one.token_ids) for one in learner.sample(prompts, samples, SAMPLING, "time"))

            taken = take_turns([here(name, sample)], repeats)[name]
        seconds = taken.work / taken.rate
        lines.append([name, f"{taken.work:,.0f}", f"{seconds:.1f}", f"{taken.rate:,.0f}", f"{taken.cpu_share:.2f}"])
    return table(("", "tokens", "seconds of CPU time", "tokens a second of CPU time", "CPU share"), lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--model_counts", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    one_core()
    if asked.one:
        kind, thing, count = asked.one
        print(json.dumps(grow(kind, thing, int(count))))
        return
    print(machine(), end="\n\n")
    print(memory_table({TOY: asked.counts, MODEL: asked.model_counts}), end="\n\n", flush=True)
    print(time_table(asked.repeats))


if __name__ == "__main__":
    main()
