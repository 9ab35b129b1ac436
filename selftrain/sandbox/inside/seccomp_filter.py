"""The seccomp filter: an allow-list in classic BPF. Other calls get EPERM; a foreign call format kills the process.

A program is a list of 8-byte steps (code, jump if true, jump if false, constant).
"""

from __future__ import annotations

import errno
import struct

from selftrain.sandbox.inside.syscalls import CONDITIONAL, FILES, MACHINES, PROCS, PURE, numbers

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN, _JUMP = 0x20, 0x15, 0x35, 0x45, 0x06, 0x05
ALLOW, KILL, ERROR = 0x7FFF0000, 0x80000000, 0x00050000
_DENY = ERROR | errno.EPERM

#: Placeholder for the process's own pid.
_OWN_PID = 0x7A5C11ED
_NUMBER, _MACHINE = 0, 4
_SIGSTOP = 19

_CLONE_THREAD, _NAMESPACES = 0x10000, 0x7E020080
#: Copies and flags of the process's own descriptors. Not F_SETOWN (signals others), leases, seals, pipe sizes.
_FCNTL = (0, 1, 2, 3, 4, 1030)
#: Whether a descriptor is a terminal, and close-on-exec. Not TIOCSTI, which types into a terminal.
_IOCTL = (0x5401, 0x5450, 0x5451)
#: Names of threads and of memory. All else that prctl does changes how the process can be confined.
_PRCTL = (15, 16, 0x53564D41)

Step = tuple[int, int, int, int]


def _argument(index: int, high: bool = False) -> Step:
    return (_LOAD, 0, 0, 16 + 8 * index + (4 if high else 0))


def _one_of(index: int, values: tuple[int, ...]) -> list[Step]:
    """Allows the call if the low half of an argument is one of `values`: the kernel reads these as int."""
    steps = [_argument(index)]
    for value in values:
        steps += [(_EQUAL, 0, 1, value), (_RETURN, 0, 0, ALLOW)]
    return [*steps, (_RETURN, 0, 0, _DENY)]


def _zero(index: int) -> list[Step]:
    """Continues only if a whole argument is zero."""
    steps: list[Step] = []
    for high in (False, True):
        steps += [_argument(index, high), (_EQUAL, 1, 0, 0), (_RETURN, 0, 0, _DENY)]
    return steps


def _to_itself(signal_index: int) -> list[Step]:
    """A signal to the process itself, but for SIGSTOP: a program that is stopped uses no time, and would never end."""
    own, kind = _argument(0), _argument(signal_index)
    denied = (_RETURN, 0, 0, _DENY)
    return [own, (_EQUAL, 1, 0, _OWN_PID), denied, kind, (_EQUAL, 0, 1, _SIGSTOP), denied, (_RETURN, 0, 0, ALLOW)]


def _clone(profile: str) -> list[Step]:
    if profile == "procs":  # any child, but no new namespace
        return [_argument(0), (_ANY_BIT, 0, 1, _NAMESPACES), (_RETURN, 0, 0, _DENY), (_RETURN, 0, 0, ALLOW)]
    return [_argument(0), (_ANY_BIT, 1, 0, _CLONE_THREAD), (_RETURN, 0, 0, _DENY), (_RETURN, 0, 0, ALLOW)]


def _conditional(profile: str) -> dict[str, list[Step]]:
    any_signal: list[Step] = [(_RETURN, 0, 0, ALLOW)]
    return {
        "kill": any_signal if profile == "procs" else _to_itself(1),
        "tgkill": any_signal if profile == "procs" else _to_itself(2),
        "clone": _clone(profile),
        # Its flags are behind a pointer, which a filter cannot follow. The C library falls back to clone.
        "clone3": [(_RETURN, 0, 0, ERROR | errno.ENOSYS)],
        # Reading the process's own limits: no other process, no new value.
        "prlimit64": [*_zero(0), *_zero(2), (_RETURN, 0, 0, ALLOW)],
        "fcntl": _one_of(1, _FCNTL),
        "ioctl": _one_of(1, _IOCTL),
        "prctl": _one_of(0, _PRCTL),
    }


def _ranges(rules: dict[int, list[Step]]) -> list[tuple[int, list[Step]]]:
    """Ranges of call numbers with the same steps: (first number, steps), ascending."""
    ranges: list[tuple[int, list[Step]]] = []
    for number in range(max(rules) + 2):
        steps = rules.get(number, [(_RETURN, 0, 0, _DENY)])
        if not ranges or ranges[-1][1] != steps:
            ranges.append((number, steps))
    return ranges


def _tree(ranges: list[tuple[int, list[Step]]]) -> list[Step]:
    """A binary search: on installation the kernel walks the filter once for every call number."""
    if len(ranges) == 1:
        return ranges[0][1]
    middle = len(ranges) // 2
    below, above = _tree(ranges[:middle]), _tree(ranges[middle:])
    if len(below) < 256:
        return [(_AT_LEAST, len(below), 0, ranges[middle][0]), *below, *above]
    # A conditional jump reaches 255 steps, an unconditional one any number.
    return [(_AT_LEAST, 0, 1, ranges[middle][0]), (_JUMP, 0, 0, len(below)), *below, *above]


def build(profile: str, machine: str) -> bytes:
    """The filter of a profile, with a placeholder for the pid. Raises KeyError if there is no table for the machine."""
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
    rules: dict[int, list[Step]] = {number: [(_RETURN, 0, 0, ALLOW)] for number in allowed.values()}
    conditional = _conditional(profile)
    rules |= {number: conditional[name] for name, number in numbers(CONDITIONAL, machine).items()}
    steps += _tree(_ranges(rules))
    return b"".join(struct.pack("HBBI", *step) for step in steps)


def for_process(template: bytes, pid: int) -> bytes:
    """The filter for one process, which may signal only itself."""
    return template.replace(struct.pack("I", _OWN_PID), struct.pack("I", pid))
