"""Published reference solutions pass, and programs that do nothing fail."""

from __future__ import annotations

import ast
import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from selftrain.sandbox import CheckJob, Limits, Sandbox

#: Some references need most of a second on a quiet core.
LIMITS = Limits(seconds=5.0)


def humaneval(data: Path) -> list[dict[str, Any]]:
    with gzip.open(data / "humaneval" / "HumanEval.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def humaneval_jobs(data: Path, body: str | None = None) -> list[CheckJob]:
    return [
        CheckJob(row["prompt"] + (body or row["canonical_solution"]), row["entry_point"], row["test"], row["prompt"])
        for row in humaneval(data)
    ]


def mbpp_jobs(data: Path) -> list[CheckJob]:
    jobs = []
    for line in (data / "mbpp" / "mbpp_prompt_validation_train.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        program = row["code"].replace("\r\n", "\n")
        test = "\n".join([row["test_setup_code"].replace("\r\n", "\n"), *row["test_list"]])
        jobs.append(CheckJob(program, _entry_point(program, test), test))
    return jobs


def _entry_point(program: str, test: str) -> str:
    """The function of the program that the test calls most."""
    defined = {node.name for node in ast.walk(ast.parse(program)) if isinstance(node, ast.FunctionDef)}
    calls = (node.func for node in ast.walk(ast.parse(test)) if isinstance(node, ast.Call))
    return Counter(one.id for one in calls if isinstance(one, ast.Name) and one.id in defined).most_common(1)[0][0]


def complaints(sandbox: Sandbox, jobs: list[CheckJob], wanted: str) -> list[tuple[str, str, str]]:
    outcomes = sandbox.check(jobs, LIMITS)
    together = zip(jobs, outcomes, strict=True)
    return [(job.entry_point, one.status, one.reason) for job, one in together if one.status != wanted]


def test_some_references_pass(sandbox: Sandbox, data: Path) -> None:
    assert complaints(sandbox, humaneval_jobs(data)[::8], "passed") == []
    assert complaints(sandbox, mbpp_jobs(data)[::16], "passed") == []


@pytest.mark.slow
def test_all_references_pass(each_tier: Sandbox, data: Path) -> None:
    assert len(humaneval_jobs(data)) == 164 and len(mbpp_jobs(data)) == 474
    assert complaints(each_tier, humaneval_jobs(data), "passed") == []
    assert complaints(each_tier, mbpp_jobs(data), "passed") == []


@pytest.mark.slow
def test_no_stub_passes(each_tier: Sandbox, data: Path) -> None:
    assert complaints(each_tier, humaneval_jobs(data, "    return None\n"), "failed") == []


@pytest.mark.slow
def test_no_reference_passes_its_shifted_test(sandbox: Sandbox, data: Path) -> None:
    passed = [
        job.entry_point
        for job in humaneval_jobs(data) + mbpp_jobs(data)
        if sandbox.check_shifted(job).status != "failed"
    ]
    assert passed == []
