"""The seccomp filter: an allow-list in classic BPF. What is not named is EPERM; a foreign call format is the end.

A program is a list of 8-byte steps (code, jump if true, jump if false, constant).
"""

from __future__ import annotations

import errno
import struct

from selftrain.sandbox.inside.syscalls import ASKED, FILES, MACHINES, PROCS, PURE, numbers

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN, _JUMP = 0x20, 0x15, 0x35, 0x45, 0x06, 0x05
ALLOW, KILL, ERROR = 0x7FFF0000, 0x80000000, 0x00050000
_DENY = ERROR | errno.EPERM

#: Stands for the process's own id until the process is there.
_OWN_PID = 0x7A5C11ED
_NUMBER, _MACHINE = 0, 4

_CLONE_THREAD, _NAMESPACES = 0x10000, 0x7E020080
#: Copy, and read or set the flags of, one's own descriptors. Not F_SETOWN (signals others), leases, seals, pipe sizes.
_FCNTL = (0, 1, 2, 3, 4, 1030)
#: Whether a descriptor is a terminal, and close-on-exec. Not TIOCSTI, which types into a terminal.
_IOCTL = (0x5401, 0x5450, 0x5451)
#: Names of threads and of memory. Everything else prctl does changes how the process can be held.
_PRCTL = (15, 16, 0x53564D41)

Step = tuple[int, int, int, int]


def _argument(index: int, high: bool = False) -> Step:
    return (_LOAD, 0, 0, 16 + 8 * index + (4 if high else 0))


def _one_of(index: int, values: tuple[int, ...]) -> list[Step]:
    """Allow where the low half of an argument is one of `values`: the kernel reads these as int."""
    steps = [_argument(index)]
    for value in values:
        steps += [(_EQUAL, 0, 1, value), (_RETURN, 0, 0, ALLOW)]
    return [*steps, (_RETURN, 0, 0, _DENY)]


def _zero(index: int) -> list[Step]:
    """Go on only where a whole argument is zero."""
    steps: list[Step] = []
    for high in (False, True):
        steps += [_argument(index, high), (_EQUAL, 1, 0, 0), (_RETURN, 0, 0, _DENY)]
    return steps


def _clone(profile: str) -> list[Step]:
    if profile == "procs":  # any child, but no new namespace
        return [_argument(0), (_ANY_BIT, 0, 1, _NAMESPACES), (_RETURN, 0, 0, _DENY), (_RETURN, 0, 0, ALLOW)]
    return [_argument(0), (_ANY_BIT, 1, 0, _CLONE_THREAD), (_RETURN, 0, 0, _DENY), (_RETURN, 0, 0, ALLOW)]


def _asked(profile: str) -> dict[str, list[Step]]:
    signals: list[Step] = [(_RETURN, 0, 0, ALLOW)] if profile == "procs" else _one_of(0, (_OWN_PID,))
    return {
        "kill": signals,
        "tgkill": signals,
        "clone": _clone(profile),
        # Its flags lie behind a pointer, which a filter cannot follow. The C library then takes clone.
        "clone3": [(_RETURN, 0, 0, ERROR | errno.ENOSYS)],
        # Reading one's own limits: no other process, no new value.
        "prlimit64": [*_zero(0), *_zero(2), (_RETURN, 0, 0, ALLOW)],
        "fcntl": _one_of(1, _FCNTL),
        "ioctl": _one_of(1, _IOCTL),
        "prctl": _one_of(0, _PRCTL),
    }


def _pieces(answers: dict[int, list[Step]]) -> list[tuple[int, list[Step]]]:
    """Where, along the numbers, what is to be done changes: (first number, steps), ascending."""
    pieces: list[tuple[int, list[Step]]] = []
    for number in range(max(answers) + 2):
        steps = answers.get(number, [(_RETURN, 0, 0, _DENY)])
        if not pieces or pieces[-1][1] != steps:
            pieces.append((number, steps))
    return pieces


def _tree(pieces: list[tuple[int, list[Step]]]) -> list[Step]:
    """A search by halves: the kernel walks the filter for each number there is when it installs it."""
    if len(pieces) == 1:
        return pieces[0][1]
    middle = len(pieces) // 2
    below, above = _tree(pieces[:middle]), _tree(pieces[middle:])
    if len(below) < 256:
        return [(_AT_LEAST, len(below), 0, pieces[middle][0]), *below, *above]
    # A jump on a condition reaches 255 steps; one without has a whole number for it.
    return [(_AT_LEAST, 0, 1, pieces[middle][0]), (_JUMP, 0, 0, len(below)), *below, *above]


def build(profile: str, machine: str) -> bytes:
    """The filter of a profile, with a hole for the process id; KeyError where we have no table for the machine."""
    allowed = numbers(PURE, machine)
    if profile in ("files", "procs"):
        allowed |= numbers(FILES, machine)
    if profile == "procs":
        allowed |= numbers(PROCS, machine)
    steps: list[Step] = [
        (_LOAD, 0, 0, _MACHINE),
        (_EQUAL, 1, 0, MACHINES[machine][1]),
        (_RETURN, 0, 0, KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, 0x40000000),  # the x32 table of x86_64: the same calls under other numbers
        (_RETURN, 0, 0, KILL),
    ]
    answers: dict[int, list[Step]] = {number: [(_RETURN, 0, 0, ALLOW)] for number in allowed.values()}
    asked = _asked(profile)
    answers |= {number: asked[name] for name, number in numbers(ASKED, machine).items()}
    steps += _tree(_pieces(answers))
    return b"".join(struct.pack("HBBI", *step) for step in steps)


def for_process(template: bytes, pid: int) -> bytes:
    """The filter for one process: it may signal itself and nobody else."""
    return template.replace(struct.pack("I", _OWN_PID), struct.pack("I", pid))
