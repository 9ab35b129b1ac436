"""What becomes of many samples without a model: judged, written down, weighed, sealed. Where is our own process slow?

    python -m benchmarks.samples [10000 100000 1000000]

A round of ReST-EM on made-up answers of realistic length, by the code that a run uses: `Learner.sample`, the cache,
the grader "math", `collect_round` with `RestEM`, `Record.samples`. Each size runs in processes of its own, so that
peaks of memory are its own: one that goes through, and one that is left before sealing and taken up by another, as
after a kill. Prints figures; asserts nothing. About 5 GB of disk for a million samples.
"""

from __future__ import annotations

import math
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from selftrain.engines.config import EngineConfig
from selftrain.engines.request import GenerateRequest
from selftrain.graders import MathGrader
from selftrain.loop.collect import SampleStats, collect_round
from selftrain.loop.learner import Learner
from selftrain.loop.round_record import sample_rows
from selftrain.methods import RestEM
from selftrain.models.prompts import make_prompts
from selftrain.storage import AnswerCache, Record, cached_grade
from selftrain.storage.journal.log import Log
from selftrain.types import Problem, Prompt, Response, Round, Sample
from tests.toys.engine import ToyEngine
from tests.toys.model import ToyModel
from tests.toys.trainer import ToyTrainer

#: Answers to a problem, and mean tokens of one: the paper's 32; a worked solution of MATH.
N, MEAN_TOKENS, SPREAD, CHARS_A_TOKEN, VOCABULARY = 32, 200, 0.5, 3.5, 151_000
#: Share of answers that repeat an earlier text of their problem, and of problems whose gold is a formula.
REPEATED, FORMULAS = 0.2, 0.2
#: A child that leaves the machine less than this ends itself.
SPARE_BYTES = 2 << 30


class MadeUp(ToyEngine):
    """An engine whose answers cost next to nothing. Token ids are new objects, as those from a tensor are."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(ToyModel(), "made-up")
        rng = np.random.default_rng(0)
        self._gold = {problem.id: problem.reference or "" for problem in problems}
        words = ["".join(map(chr, rng.integers(97, 123, rng.integers(2, 10)))) for _ in range(20_000)]
        self._text = " ".join(words[rank] for rank in ranks(rng, 4_000_000, len(words)))
        self._ids = ranks(rng, 8_000_000, VOCABULARY)

    def generate(self, request: GenerateRequest) -> list[Response]:
        return [response for prompt in request.prompts for response in self._responses(prompt, request)]

    def _responses(self, prompt: Prompt, request: GenerateRequest) -> Iterator[Response]:
        rng, said = random.Random(f"{request.key}/{prompt.problem_id}"), list[str]()
        skill = rng.betavariate(0.5, 0.5)
        for index in range(request.n):
            length = max(20, min(1024, round(rng.lognormvariate(math.log(MEAN_TOKENS) - SPREAD**2 / 2, SPREAD))))
            at = rng.randrange(len(self._ids) - length)
            ids = tuple(self._ids[at : at + length].tolist())
            if said and rng.random() < REPEATED:
                said.append(rng.choice(said))
            else:
                start = rng.randrange(len(self._text) - 4000)
                said.append(f"{self._text[start : start + int(CHARS_A_TOKEN * length)]}. The answer is "
                            f"${stated(self._gold[prompt.problem_id], rng.random() < skill, rng)}$.")  # fmt: skip
            yield Response(
                prompt, self.prompt_text(prompt), index, said[-1], ids, -0.7 * length, "stop", self.name,
                request.weights_version,
            )  # fmt: skip


def ranks(rng: np.random.Generator, count: int, below: int) -> Any:
    """As likely as words of a language, or tokens of a vocabulary that has the frequent ones first: 1 / (rank + 1)."""
    return np.exp(rng.random(count) * np.log(below)).astype(int) - 1


def stated(gold: str, right: bool, rng: random.Random) -> str:
    if right:
        return f"\\boxed{{{gold}}}"
    off = rng.randint(1, 5)
    return f"\\boxed{{{int(gold) + off}}}" if gold.isdigit() else f"\\boxed{{{gold} + {off}}}"


def made_up_problems(count: int) -> list[Problem]:
    rng = random.Random(0)
    question = "A shop sells {} boxes of {} pens each for {} coins, and takes back a tenth of them. " * 3
    golds = [f"\\frac{{{rng.randint(1, 99)}}}{{{rng.randint(2, 99)}}}" if rng.random() < FORMULAS
             else str(rng.randint(1, 9_999)) for _ in range(count)]  # fmt: skip
    return [Problem(f"made-up/train/{i}", question.format(*(rng.randint(2, 999) for _ in range(9))), gold)
            for i, gold in enumerate(golds)]  # fmt: skip


def memory_kib(name: str) -> int:
    """VmRSS now, or VmHWM, the highest so far."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[name].split()[0])


@dataclass
class Clock:
    """This process's seconds of CPU by what they were spent on; what lies in an inner one is not in the outer.

    What else the machine does hardly touches them, but math-verify's own process is not in them.
    """

    def __post_init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._inner: list[float] = [0.0]

    @contextmanager
    def of(self, what: str) -> Iterator[None]:
        began = time.process_time()
        self._inner.append(0.0)
        try:
            yield
        finally:
            spent = time.process_time() - began
            self.seconds[what] += spent - self._inner.pop()
            self._inner[-1] += spent

    def wrap(self, what: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **named: Any) -> Any:
            with self.of(what):
                return call(*arguments, **named)

        return timed


def child(mode: str, count: int, folder: Path) -> None:
    """`whole`: a round from first to last. `begin`: left before sealing. `resume`: what `begin` left, to its end."""
    clock, problems = Clock(), made_up_problems(count // N)
    engine, grader, answer_cache = MadeUp(problems), MathGrader(), AnswerCache()
    by_id = {problem.id: problem for problem in problems}
    Log.append = clock.wrap("log", Log.append)  # type: ignore[method-assign]
    method = RestEM(num_generations=N, stop_at_cap=False)
    type(method)._filter = clock.wrap("select", type(method)._filter)  # type: ignore[method-assign]
    engine.generate = clock.wrap("made up", engine.generate)  # type: ignore[method-assign]
    learner = Learner(engine, ToyTrainer(engine.model), "base", answer_cache=answer_cache)
    grade = cached_grade(answer_cache, clock.wrap("judge", lambda responses: grader.grade(responses, by_id)))
    watch_memory()
    before, total = memory_kib("VmRSS"), time.perf_counter()
    with grader, clock.of("record opened"), contextmanager_of(mode, folder, answer_cache) as record:
        with clock.of("log opened"):
            remembering = record.caching_answers(1, "samples")
            remembering.__enter__()
        now = Round(1, problems, make_prompts(problems), [learner], grade, seed=1, scores_independently=True)
        with ExitStack() as sealing:
            if mode != "begin":
                with clock.of("seal"):
                    rows = sealing.enter_context(record.writing_samples(1))

            def put(samples: Sequence[Sample]) -> None:
                if mode != "begin":
                    with clock.of("seal"):
                        rows(sample_rows(samples, 1, by_id))

            SampleStats.add = clock.wrap("figures", SampleStats.add)  # type: ignore[method-assign]
            with clock.of("collect, the rest of it"):
                collected = collect_round(method, now, EngineConfig().problems_at_once, put)
            remembering.__exit__(None, None, None)
            logged = sum(file.stat().st_size for file in (folder / "logs").glob("*"))
            told = [f"{mode} {count:,}", f"log {gib(logged // 1024)}"]
        if mode != "begin":
            with clock.of("forget"):
                record.discard_answers([1])
            sealed, facts = (folder / "samples/round-0001.parquet").stat().st_size, collected.stats["made-up"].summary()
            told += [f"parquet {gib(sealed // 1024)}", f"kept {facts.kept:,}", f"tokens {facts.tokens:,}"]
        told.append(f"memory {gib(memory_kib('VmHWM') - before)}")
    total = time.perf_counter() - total
    used = sum(clock.seconds.values()) - clock.seconds["made up"]
    print("; ".join(told), f"; {total:.1f} s; of CPU without the making {used:.1f} s, {count / used:,.0f} samples/s")
    for what, seconds in sorted(clock.seconds.items(), key=lambda one: -one[1]):
        print(f"    {what:<24} {seconds:9.2f} s of CPU {1e6 * seconds / count:9.1f} us a sample")
    sys.stdout.flush()


@contextmanager
def contextmanager_of(mode: str, folder: Path, answer_cache: AnswerCache) -> Generator[Record, None, None]:
    with Record.resume(folder, answer_cache) if mode == "resume" else Record.create(folder, {}, answer_cache) as record:
        yield record


def gib(kib: int) -> str:
    return f"{kib / 2**20:.2f} GiB"


def watch_memory() -> None:
    """Ends this process before it takes the machine's last memory."""

    def look() -> None:
        while True:
            lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
            if int(lines["MemAvailable"].split()[0]) * 1024 < SPARE_BYTES:
                print(f"    ended for want of memory at {gib(memory_kib('VmRSS'))}", flush=True)
                os._exit(1)
            time.sleep(1)

    threading.Thread(target=look, daemon=True).start()


def main() -> None:
    if len(sys.argv) == 4 and not sys.argv[1].isdigit():
        child(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
        return
    for count in map(int, sys.argv[1:] or ("10000", "100000", "1000000")):
        with tempfile.TemporaryDirectory() as folder:
            for mode in ("whole", "begin", "resume"):
                place = f"{folder}/{'whole' if mode == 'whole' else 'left'}"
                subprocess.run([sys.executable, "-m", "benchmarks.samples", mode, str(count), place])


if __name__ == "__main__":
    main()
