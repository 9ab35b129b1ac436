"""Programs that want the reward without the work: none has it, whatever the style of the test."""

from __future__ import annotations

import pytest

from selftrain.sandbox import CallJob, CheckJob, Limits, Sandbox, StdinJob
from tests.sandbox.forging import EXPECTED, HONEST, OBJECTS, STDIN, STDIN_HONEST, TESTS, WRONG, programs, stdin_programs

LIMITS = Limits(seconds=0.3)
CALLS = ((1,), (2,), (5,), (40,))
RIGHT = (11, 17, 47, 1727)


def accepted(sandbox: Sandbox, test: str) -> list[str]:
    """The forgeries that passed, and those that are unjudged though they returned plain data."""
    outcomes = sandbox.check([CheckJob(text, "f", test) for text in programs().values()], LIMITS)
    together = list(zip(programs(), outcomes, strict=True))
    unjudged = [name for name, one in together if one.status == "unjudged" and name not in OBJECTS]
    return [name for name, one in together if one.status == "passed"] + unjudged


def honesty(sandbox: Sandbox, test: str) -> list[str]:
    return [one.status for one in sandbox.check([CheckJob(text, "f", test) for text in (HONEST, WRONG)])]


def test_the_corpus_is_whole() -> None:
    assert len(programs()) >= 48 and len(stdin_programs()) == 14


@pytest.mark.parametrize("style", ["equal", "own rule or None", "zip"])
def test_no_forged_function_passes(sandbox: Sandbox, style: str) -> None:
    assert honesty(sandbox, TESTS[style]) == ["passed", "failed"]
    assert accepted(sandbox, TESTS[style]) == []


@pytest.mark.slow
@pytest.mark.parametrize("style", TESTS)
def test_no_forged_function_passes_in_any_tier(each_tier: Sandbox, style: str) -> None:
    assert honesty(each_tier, TESTS[style]) == ["passed", "failed"]
    assert accepted(each_tier, TESTS[style]) == []


def test_no_forged_function_answers_right(sandbox: Sandbox) -> None:
    texts = [HONEST, *programs().values()]
    honest, *forged = sandbox.call([CallJob(text, "f", CALLS) for text in texts], LIMITS)
    assert honest.values == RIGHT
    assert [one for one in forged if one.values == RIGHT or one.status == "unjudged"] == []


def test_no_forged_program_prints_what_is_right(sandbox: Sandbox) -> None:
    texts = [STDIN_HONEST, *stdin_programs().values()]
    honest, *forged = sandbox.run_stdin([StdinJob(text, STDIN) for text in texts], LIMITS)
    assert honest.stdout == EXPECTED
    assert [one.stdout for one in forged if one.stdout == EXPECTED or one.status == "unjudged"] == []


def test_no_test_is_in_reach_of_the_program(sandbox: Sandbox) -> None:
    """The program reads its own memory while the checker holds a test with a mark in it, job after job."""
    search = (
        "import ctypes, gc, sys\n"
        "def found():\n"
        "    frame = sys._getframe()\n"
        "    while frame:\n"
        "        if '18-kram-neddih'[::-1] in repr(frame.f_locals): return True\n"
        "        frame = frame.f_back\n"
        "    return any('18-kram-neddih'[::-1] in one for one in gc.get_objects() if type(one) is list)\n"
        "def f(n): return found()\n"
    )
    test = "MARK = 'hidden-mark-81'\nassert f(1) == False"
    assert {one.status for one in sandbox.check([CheckJob(search, "f", test)] * 12)} == {"passed"}


def test_keys_that_share_a_hash_do_not_stall_the_driver(sandbox: Sandbox) -> None:
    text = "def f(n): return {i * (2**61 - 1) for i in range(3)} if n else 0\n"
    attack = (
        "import os\n"
        "body = ','.join('{\"i\":\"%x\"}' % (i * (2**61 - 1)) for i in range(25000))\n"
        "os.write(3, b'{\"v\":{\"s\":[' + body.encode() + b']}}\\n'); os._exit(0)\n"
    )
    few, many = sandbox.call([CallJob(text, "f", ((1,),)), CallJob(attack, "f", ((1,),))])
    assert few.values == ({0, 2**61 - 1, 2 * (2**61 - 1)},)
    assert many.status == "refused" and many.seconds < 1.0
