"""A fork server: one clean interpreter, one child for each job, one job at a time.

It is told a kind and limits, and handed descriptors that it passes on unread; no program and no test is ever in its
memory, so no later child can inherit one. It ends when its control socket does, and its child ends with it.
"""

from __future__ import annotations

import contextlib
import gc
import json
import mmap
import os
import select
import signal
import socket
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from selftrain.sandbox.inside import child, jail, kernel, spaces
from selftrain.sandbox.inside.preload import preload

KILL = b"kill"


def supervise(settings: Mapping[str, Any]) -> None:
    control = socket.socket(fileno=settings["control"])
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    for number in set(signal.Signals) - {signal.SIGINT, signal.SIGPIPE, signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)  # what our parent ignored, we would ignore too
    try:
        null, dress = _prepare(settings)
    except (OSError, KeyError, ValueError) as error:
        control.send(json.dumps({"failed": f"{type(error).__name__}: {error}"}).encode())
        os._exit(1)
    gc.collect()
    gc.disable()
    gc.freeze()  # so that a child's collector does not touch, and copy, what all share
    control.send(json.dumps({"ready": os.getpid()}).encode())
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 1 << 14, 8)
        if not message:
            os._exit(0)
        if not descriptors:  # an order to kill that came too late
            continue
        if dress.own_processes and dress.profile != "pure":
            dress = _fresh(dress)
        parent, dressed = os.getpid(), mmap.mmap(-1, 1)
        pid = kernel.fork()
        if pid == 0:
            child.run(json.loads(message), descriptors, null, dress, parent, dressed)
        for descriptor in descriptors:
            os.close(descriptor)
        status, cpu = _watch(control, pid)
        if dress.own_processes:
            _end_all()
        control.send(json.dumps({"status": status, "cpu": cpu, "dressed": dressed[0] == 1}).encode())
        dressed.close()


def _prepare(settings: Mapping[str, Any]) -> tuple[int, jail.Jail]:
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    preload()
    tier, profile = settings["tier"], settings["profile"]
    null = os.open("/dev/null", os.O_RDWR)
    if tier == 3:
        spaces.enter(profile, settings["control"])
    os.chdir("/")
    dress = jail.prepare(tier, profile, settings["uid"])
    if settings.get("no_filter"):  # for the self-test alone: does landlock hold by itself?
        dress = replace(dress, filter=b"")
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    return null, dress


def _fresh(dress: jail.Jail) -> jail.Jail:
    spaces.fresh_scratch()
    os.close(dress.ruleset)
    return replace(dress, ruleset=jail.ruleset(dress.profile))


def _watch(control: socket.socket, pid: int) -> tuple[int, float]:
    """Wait for the child, kill it when told to, or when nobody is left to tell."""
    watched = os.pidfd_open(pid)
    poll = select.poll()
    poll.register(control.fileno(), select.POLLIN)
    poll.register(watched, select.POLLIN)
    while True:
        ready = {number for number, _ in poll.poll()}
        if watched in ready:
            break
        order = control.recv(1 << 14)
        os.kill(pid, signal.SIGKILL)
        if not order:
            os._exit(0)
    os.close(watched)
    _, status, usage = os.wait4(pid, 0)
    return status, usage.ru_utime + usage.ru_stime


def _end_all() -> None:
    """As the first process of its namespaces: nothing that a job has started outlives it."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait4(-1, 0)
