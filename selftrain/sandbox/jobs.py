"""What goes into a sandbox and what comes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from selftrain.errors import SelftrainError, SettingsError

Profile = Literal["pure", "files", "procs"]
#: ran        it came to its own end: compare what it gave, for nothing here has (run_stdin, call)
#: passed     the whole test went through, and the program answered in it (check)
#: failed     the test did not go through, or the program never answered
#: timeout    over the wall or processor limit
#: crashed    the program raised, or died of a signal
#: refused    more output than allowed, or an answer that is not in our format
#: unjudged   our own machinery failed: never to be counted as wrong
Status = Literal["ran", "passed", "failed", "timeout", "crashed", "refused", "unjudged"]


class SandboxError(SelftrainError):
    """Model code cannot be run here, or not this way."""

    exit_code = 77


@dataclass(frozen=True)
class Limits:
    """What one program may use. SettingsError for a limit that is not above zero."""

    #: Seconds from handing the program over to its end, kept by SIGKILL.
    wall_seconds: float = 1.5
    #: Processor seconds of each process, rounded up to whole ones.
    cpu_seconds: float = 2.0
    #: Address space of each process, the interpreter (about 40 MiB) included.
    memory_bytes: int = 512 << 20
    #: Of standard output, of all answers of a call job, of one answer in a check.
    output_bytes: int = 1 << 20

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise SettingsError(f"{name} is {value}", "a limit is above zero")


@dataclass(frozen=True)
class StdinJob:
    """A whole program that reads standard input and writes standard output."""

    program: str
    stdin: str = ""


@dataclass(frozen=True)
class CallJob:
    """Call a function of the program with the arguments of each call: plain data, positional.

    CallJob("def add(a, b): return a + b", "add", ((1, 2), (3, 4)))

    "Solution.method" names a method of a class, which is made anew for every call.
    """

    program: str
    entry_point: str
    calls: Sequence[Sequence[Any]]


@dataclass(frozen=True)
class CheckJob:
    """A test of assert statements, or one that defines `check(candidate)`, on a function of the program.

    CheckJob("def add(a, b): return a + b", "add", "assert add(1, 2) == 3")

    `setup` is trusted code of the data set that the test needs (imports, helpers); it runs beside the test. Names that
    neither it nor the test defines are asked of the program, and the outcome is marked weak.
    """

    program: str
    entry_point: str
    test_code: str
    setup: str = ""


@dataclass(frozen=True)
class Answer:
    """What one call gave: a value, or why there is none (the exception, or that it was not plain data)."""

    value: Any = None
    error: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of a job. `reason` may hold text that a program chose: printable characters, at most 300."""

    status: Status
    reason: str = ""
    #: Of a stdin job, undecodable bytes replaced.
    stdout: str = ""
    #: Of a call job, one for each call that was answered, in order.
    answers: tuple[Answer, ...] = ()
    #: Calls that the program answered.
    calls: int = 0
    #: The test needs more than plain calls of the entry point, so passing it shows less.
    weak: bool = False
    #: Seconds from handing over to the verdict; of the last try, where there were several.
    seconds: float = 0.0

    @property
    def values(self) -> tuple[Any, ...]:
        """The values of the answers, None where a call gave none."""
        return tuple(answer.value for answer in self.answers)


@dataclass(frozen=True)
class Probe:
    """One question of the self-test. `mend`: what would make it pass."""

    tier: int
    name: str
    passed: bool
    found: str = ""
    mend: str = ""


def printable(text: str) -> str:
    """Text by a program, safe to print: no control characters, at most 300."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text[:300])
