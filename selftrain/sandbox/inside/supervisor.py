"""A fork server: one child per job, one job at a time.

It gets a job's kind and limits, and descriptors that it passes on unread: no program and no test is ever in its memory,
so no later child can inherit one. It ends when its control socket closes, and its child ends with it.
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
from typing import Any, NoReturn

from selftrain.sandbox.inside import child, kernel, namespaces, stand_ins
from selftrain.sandbox.inside.jail import Jail, build_jail, build_ruleset
from selftrain.sandbox.inside.library import MemoryFinder
from selftrain.sandbox.inside.preload import preload_numpy
from selftrain.sandbox.inside.protocol import TELL_PID


def supervise(settings: Mapping[str, Any], finder: MemoryFinder) -> NoReturn:
    control = socket.socket(fileno=settings["control"])
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    for number in set(signal.Signals) - {signal.SIGINT, signal.SIGPIPE, signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)  # ignored signals are inherited
    control.send(json.dumps({"pid": os.getpid()}).encode())  # before it is another one, in a namespace
    try:
        proc = os.open("/proc", os.O_PATH)
        null, jail = _prepare(settings, finder)
    except (OSError, KeyError, ValueError) as error:
        control.send(json.dumps({"failed": f"{type(error).__name__}: {error}"}).encode())
        os._exit(1)
    gc.collect()
    gc.disable()
    gc.freeze()  # so that a child's collector does not touch, and so copy, shared pages
    control.send(json.dumps({"ready": True}).encode())
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 1 << 14, 8)
        if not message:
            os._exit(0)
        if not descriptors:  # a KILL that came too late
            continue
        if jail.own_processes and jail.profile != "pure":
            jail = _with_fresh_scratch(jail)
        parent, shared = os.getpid(), mmap.mmap(-1, child.SHARED)
        pid = kernel.fork()
        if pid == 0:
            order = json.loads(message)
            child.run(order, descriptors, jail, null=null, parent=parent, proc=proc, shared=shared)
        for descriptor in descriptors:
            os.close(descriptor)
        status, cpu = _watch(control, pid, shared)
        if jail.own_processes:
            _kill_all()
        control.send(json.dumps({"status": status, "cpu": cpu, "locked_in": child.is_locked_in(shared)}).encode())
        shared.close()


def _prepare(settings: Mapping[str, Any], finder: MemoryFinder) -> tuple[int, Jail]:
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    if settings["numpy_folder"] is not None:
        preload_numpy(settings["numpy_folder"])
    tier, profile = settings["tier"], settings["profile"]
    null = os.open("/dev/null", os.O_RDWR)
    if tier == 3:
        namespaces.enter(profile, settings["control"])
    os.chdir("/")
    jail = build_jail(tier, profile, settings["uid"])
    if settings.get("no_filter"):  # only in the self-test: does landlock hold by itself?
        jail = replace(jail, filter=b"")
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    stand_ins.install(finder, sockets=profile == "procs" or tier == 0)
    return null, jail


def _with_fresh_scratch(jail: Jail) -> Jail:
    namespaces.fresh_scratch()
    os.close(jail.ruleset)
    return replace(jail, ruleset=build_ruleset(jail.profile))


def _watch(control: socket.socket, pid: int, shared: mmap.mmap) -> tuple[int, float]:
    """Waits for the child; tells its pid if it takes a while; kills it on KILL, or if the driver is gone."""
    watched = os.pidfd_open(pid)
    poll = select.poll()
    poll.register(control.fileno(), select.POLLIN)
    poll.register(watched, select.POLLIN)
    wait: float | None = 1000 * TELL_PID
    while True:
        ready = {number for number, _ in poll.poll(wait)}
        if watched in ready:
            break
        if not ready:
            if told := child.published_pid(shared):
                control.send(json.dumps({"child": told}).encode())
                wait = None
            continue
        message = control.recv(1 << 14)
        os.kill(pid, signal.SIGKILL)
        if not message:
            os._exit(0)
    os.close(watched)
    _, status, usage = os.wait4(pid, 0)
    return status, usage.ru_utime + usage.ru_stime


def _kill_all() -> None:
    """Nothing that a job has started outlives it: as the first process of our namespace we may kill all others."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait4(-1, 0)
