"""What the driver and the processes inside agree on."""

from __future__ import annotations

#: The driver's message to a supervisor: kill the child.
KILL = b"kill"
#: The only exit status of a child with a meaning: the program raised an exception that nothing caught.
RAISED = 70
#: The checker's reason for a program that died. The driver looks for it, since it knows better how the program ended.
ENDED = "the program ended before it had answered"
#: Seconds after which a supervisor tells the pid of its child; most have ended by then.
TELL_PID = 0.02


class NotPlainError(ValueError):
    """A value that is not plain data, or too deep, or too large."""


class OtherTypeError(NotPlainError):
    """A value of a type that cannot leave its process: whether it is right cannot be said."""
