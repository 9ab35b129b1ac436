"""The process that supervisors are forked from: it has loaded all modules, once for all of them.

It gets a supervisor's settings with its end of the control socket, and never a job. It ends with the driver.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
from collections.abc import Mapping
from typing import Any

from selftrain.sandbox.inside import library
from selftrain.sandbox.inside.preload import preload
from selftrain.sandbox.inside.supervisor import supervise


def serve(settings: Mapping[str, Any]) -> None:
    control = socket.socket(fileno=settings["control"])
    preload()
    finder = library.install()
    gc.collect()
    gc.freeze()  # so that no collector touches, and so copies, shared pages
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # supervisors that end leave nothing behind
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 1 << 14, 8)
        if not message:
            os._exit(0)
        if os.fork() == 0:
            control.close()
            os.setsid()
            supervise({**json.loads(message), "control": descriptors[0]}, finder)
        for descriptor in descriptors:
            os.close(descriptor)
