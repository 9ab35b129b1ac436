"""Runs model-written code so that neither the machine nor the reward comes to harm. See docs/sandbox.md.

with open_sandbox() as sandbox:
    outcomes = sandbox.check([CheckJob(program, "add", "assert add(1, 2) == 3")])
"""

from selftrain.sandbox.jobs import Answer, CallJob, CheckJob, Limits, Outcome, Probe, SandboxError, StdinJob
from selftrain.sandbox.sandbox import Sandbox, open_sandbox, report_lines, self_test, tier_lines

__all__ = [
    "Answer",
    "CallJob",
    "CheckJob",
    "Limits",
    "Outcome",
    "Probe",
    "Sandbox",
    "SandboxError",
    "StdinJob",
    "open_sandbox",
    "report_lines",
    "self_test",
    "tier_lines",
]
