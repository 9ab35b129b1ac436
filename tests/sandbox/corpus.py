"""Run the containment corpus and say what got out. Also a program, for the tests that become another user:

python tests/sandbox/corpus.py TIER SECONDS      prints the complaints as JSON; an empty object is a pass
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

from selftrain.sandbox import Limits, Outcome, Sandbox, StdinJob, open_sandbox
from tests.sandbox.containment import programs

SECRET = "canary-7f3a91"
#: No program has more seconds of its own than this, whatever it does, and none more on the clock beside the others.
LATEST_SECONDS, LATEST_WALL = 2.0, 20.0


def contain(sandbox: Sandbox, seconds: float = 1.5, step: int = 1) -> dict[str, str]:
    """What each program that was not held did, by its name; of all, or of one in so many."""
    with tempfile.TemporaryDirectory(prefix="selftrain-corpus-") as folder:
        canary, outside = Path(folder) / "canary", Path(folder) / "outside"
        canary.write_text(SECRET)
        outside.mkdir()
        for path, mode in ((Path(folder), 0o777), (canary, 0o666), (outside, 0o777)):
            path.chmod(mode)
        os.environ["SELFTRAIN_CORPUS_SECRET"] = SECRET
        corpus = dict(list(programs().items())[::step])
        jobs = [
            StdinJob(text.replace("CANARY", str(canary)).replace("OUTSIDE", str(outside))) for text in corpus.values()
        ]
        # One job first, so that the supervisors are there to be counted.
        sandbox.run_stdin([StdinJob("pass")] * 8)
        before = sandbox.supervisor_pids
        outcomes = sandbox.run_stdin(jobs, Limits(seconds=seconds))
        complaints = {name: _complaint(one) for name, one in zip(corpus, outcomes, strict=True) if _complaint(one)}
        if sandbox.supervisor_pids != before:
            complaints["supervisors"] = f"{before} became {sandbox.supervisor_pids}"
        if canary.read_text() != SECRET or any(outside.iterdir()) or Path("/tmp/selftrain-escaped").exists():
            complaints["disk"] = "something was written"
        after = sandbox.run_stdin([StdinJob("print(input())", "still here")])[0]
        if after.stdout != "still here\n":
            complaints["afterwards"] = f"an honest program: {after}"
    return complaints


def _complaint(outcome: Outcome) -> str:
    if outcome.status == "unjudged":
        return f"unjudged: {outcome.reason}"
    if outcome.own_seconds > LATEST_SECONDS or outcome.seconds > LATEST_WALL:
        return f"the verdict took {outcome.own_seconds:.2f} s of its own, {outcome.seconds:.2f} s on the clock"
    if SECRET in outcome.stdout or "ESCAPED" in outcome.stdout:
        return outcome.stdout[:300]
    if not all(one.isprintable() for one in outcome.reason):
        return f"reason {outcome.reason!r}"
    return ""


if __name__ == "__main__":
    with open_sandbox(tier=int(sys.argv[1]), workers=4) as opened:
        print(json.dumps(contain(opened, float(sys.argv[2]))))
