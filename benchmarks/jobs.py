"""Runs that evidence rests on: each in a process of its own, kept when finished, and gone on with when cut off."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Job:
    """`words` gives what follows `python -m`; it is asked when the job starts, so it may build on earlier jobs."""

    name: str
    folder: Path
    words: Callable[[], Sequence[str]]

    @property
    def done(self) -> bool:
        return bool(self.facts.get("done"))

    @property
    def facts(self) -> Mapping[str, Any]:
        """`minutes` of processor time of all attempts, `commit`, `done`."""
        return json.loads(self._facts.read_text()) if self._facts.exists() else {}

    @property
    def log(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}.log")

    @property
    def _facts(self) -> Path:
        # Beside the folder: a run's folder holds nothing but what its journal knows.
        return self.folder.with_name(f"{self.folder.name}.json")

    def run(self, environment: Mapping[str, str]) -> bool:
        """Whether it went well."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("a") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *self.words()], stdout=log, stderr=subprocess.STDOUT, env=environment
            )
            _, status, used = os.wait4(process.pid, 0)
        # Processor time: what else the machine does meanwhile does not change it by much.
        minutes = self.facts.get("minutes", 0.0) + (used.ru_utime + used.ru_stime) / 60
        done = os.waitstatus_to_exitcode(status) == 0
        self._facts.write_text(json.dumps({"minutes": minutes, "commit": commit(), "done": done}))
        return done


def run_all(jobs: Sequence[Job], workers: int, environment: Mapping[str, str] | None = None) -> None:
    """Those that are not done, `workers` at once; ends the process where one fails, when the others are through."""
    left = [job for job in jobs if not job.done]
    print(f"{len(jobs)} runs, {len(jobs) - len(left)} of them finished before", flush=True)

    def start(job: Job) -> bool:
        began = time.monotonic()
        fine = job.run(os.environ | (environment or {}))
        told = f"done in {(time.monotonic() - began) / 60:.1f} minutes" if fine else f"FAILED, see {job.log}"
        print(f"{datetime.now(UTC):%H:%M:%S} {job.name}: {told}", flush=True)
        return fine

    with ThreadPoolExecutor(workers) as pool:
        fine = list(pool.map(start, left))
    if not all(fine):
        first = next(job for job, one in zip(left, fine, strict=True) if not one)
        sys.exit(f"{fine.count(False)} runs did not finish, the first is {first.name}: see {first.log}")


def commit() -> str:
    def git(*words: str) -> str:
        return subprocess.run(["git", *words], capture_output=True, text=True, check=False).stdout.strip()

    return git("rev-parse", "--short", "HEAD") + (" with changes" if git("status", "--porcelain", "-uno") else "")
