"""Programs that try to hurt the machine: one name and one program each.

A program prints ESCAPED where it got what it wanted. CANARY stands for a file that everybody may read and write, and
OUTSIDE for a folder that everybody may write in; what it reads of the first shows in its output.
"""

from __future__ import annotations

PRELUDE = r"""
import ctypes, os, sys, signal, threading, time, platform
libc = ctypes.CDLL(None)
arm = platform.machine() == "aarch64"
def tried(function, *arguments, **named):
    try:
        result = function(*arguments, **named)
    except BaseException as error:
        print("stopped", type(error).__name__)
        return None
    if not (type(result) is int and result < 0):
        print("ESCAPED", repr(result)[:200])
    return result
def raw(x86, arm64, *arguments):
    tried(libc.syscall, arm64 if arm else x86, *arguments)
"""

#: `=== name` and then the program.
_TEXT = r"""
=== loop
while True: pass
=== loop that swallows exceptions
while True:
    try:
        while True: pass
    except BaseException: pass
=== sleep for ever
time.sleep(10**6)
=== ignore all signals
for n in range(1, 65):
    try: signal.signal(n, signal.SIG_IGN)
    except Exception: pass
while True: pass
=== ignore SIGXCPU and spin
signal.signal(signal.SIGXCPU, lambda *a: None)
while True: pass
=== os.fork bomb
while True:
    try: os.fork(); print("ESCAPED")
    except OSError: pass
=== raw-syscall fork bomb
for _ in range(2000): libc.syscall(220 if arm else 57, 17, 0, 0, 0, 0) >= 0 and print("ESCAPED")
=== thread bomb
def stay(): time.sleep(100)
while True:
    try: threading.Thread(target=stay).start()
    except BaseException: pass
=== non-daemon thread outliving main
threading.Thread(target=time.sleep, args=(1000,)).start()
=== 1 TB bytearray
tried(bytearray, 1 << 40)
=== growing list
held = []
while True: held.append(b"x" * (1 << 20))
=== string doubling
text = "x"
while True: text += text
=== anonymous mmaps
import mmap
held = []
while True: held.append(mmap.mmap(-1, 1 << 24)); held[-1].write(b"x" * (1 << 24))
=== memfd fill
f = tried(os.memfd_create, "x")
while f is not None: os.write(f, b"x" * (1 << 20))
=== SysV shm fill
raw(29, 194, 0, 1 << 30, 0o1600)
=== pipe stuffing
tried(os.pipe)
=== 9**9**9
9**9**9
=== str(10**10**8)
sys.set_int_max_str_digits(0); str(10**10**8)
=== catastrophic regex
import re; re.match(r"(a+)+$", "a" * 60 + "b")
=== unbounded recursion
sys.setrecursionlimit(10**9)
def f(): return [f()]
f()
=== unbounded recursion in C
sys.setrecursionlimit(10**9)
class A:
    def __repr__(self): return repr(self)
repr(A())
=== 100k nested parens to eval
eval("(" * 100000 + ")" * 100000)
=== NULL deref
ctypes.string_at(0)
=== abort
os.abort()
=== stdout flood
while True: print("x" * 10000)
=== stdout flood that goes on after errors
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
while True:
    try: os.write(1, b"x" * 65536)
    except OSError: pass
=== stderr flood
while True: os.write(2, b"x" * 65536)
=== close stdout then spin
os.close(1)
while True: pass
=== one big file
f = tried(open, "OUTSIDE/big", "wb")
while f: f.write(b"x" * (1 << 20))
=== many files
for n in range(100): tried(open, f"OUTSIDE/{n}", "w")
=== inode fill
for n in range(1000): tried(os.mkdir, f"OUTSIDE/d{n}")
=== 32 TB sparse file
tried(os.ftruncate, 1, 32 << 40)
=== fd exhaustion
n = 0
try:
    while True: os.dup(1); n += 1
except OSError: print(n < 1000 or "ESCAPED")
=== read canary
print(tried(lambda: open("CANARY").read()))
=== list ~/.ssh
tried(os.listdir, "/root/.ssh")
=== read /etc/shadow
tried(open, "/etc/shadow")
=== dump env
print(dict(os.environ))
=== read every /proc/*/environ
for n in range(1, 3000):
    try: print("ESCAPED", open(f"/proc/{n}/environ").read())
    except OSError: pass
=== write parent's /proc/pid/mem
tried(open, f"/proc/{os.getppid()}/mem", "r+b")
=== walk /proc/*/fd
for n in range(1, 3000):
    try: print("ESCAPED", os.listdir(f"/proc/{n}/fd"))
    except OSError: pass
=== list inherited fds
for n in range(4, 1000):
    try: os.fstat(n); print("ESCAPED", n)
    except OSError: pass
=== TCP to loopback
raw(41, 198, 2, 1, 0)
=== UDP DNS
raw(41, 198, 2, 2, 17)
=== abstract unix socket
raw(41, 198, 1, 1, 0)
=== netlink and raw sockets
raw(41, 198, 16, 3, 0); raw(41, 198, 2, 3, 255); raw(41, 198, 17, 3, 768)
=== cloud metadata URL
import urllib.request
tried(urllib.request.urlopen, "http://169.254.169.254/", timeout=1)
=== kill parent
tried(os.kill, os.getppid(), 9)
=== kill -1
tried(os.kill, -1, 9)
=== kill process group 0
tried(os.killpg, 0, 9)
=== kill pid 1
tried(os.kill, 1, 9)
=== kill every pid by ctypes
for n in range(2, 5000): n != os.getpid() and libc.kill(n, 9) == 0 and print("ESCAPED", n)
=== pidfd_send_signal
raw(434, 434, os.getppid(), 0); raw(424, 424, 3, 9, 0, 0)
=== prlimit on parent
raw(302, 261, os.getppid(), 7, ctypes.create_string_buffer(16), 0)
=== raise own limits
import resource; tried(resource.setrlimit, resource.RLIMIT_AS, (-1, -1))
=== ptrace parent
tried(libc.ptrace, 16, os.getppid(), 0, 0)
=== write in /tmp
tried(open, "/tmp/selftrain-escaped", "w")
=== write in home
tried(open, os.path.expanduser("~/selftrain-escaped"), "w")
=== write in stdlib
tried(open, os.__file__ + ".new", "w")
=== append to harness source
for name, module in list(sys.modules.items()):
    name.startswith("selftrain") and getattr(module, "__file__", None) and tried(open, module.__file__, "a")
=== poison .pyc
import importlib.util; tried(open, importlib.util.cache_from_source(os.__file__), "ab")
=== symlink to /etc
tried(os.symlink, "/etc", "OUTSIDE/link")
=== symlink in scratch before cleanup
tried(os.symlink, "/etc", "link"); tried(os.symlink, "/etc", "/tmp/link")
=== hardlink a secret
tried(os.link, "CANARY", "OUTSIDE/link")
=== ../ write
tried(open, "../" * 20 + "OUTSIDE/up", "w")
=== rmtree("/")
import shutil; shutil.rmtree("/", ignore_errors=True); tried(os.unlink, "CANARY")
=== chmod 000 own dir
tried(os.chmod, ".", 0); tried(os.chmod, "OUTSIDE", 0)
=== 3000 nested dirs
for n in range(3000): os.mkdir("d"); os.chdir("d")
print("ESCAPED")
=== file names with newline/ESC/surrogates
for name in ("a\nb", "\x1b[2J", "\udcff"): tried(open, "OUTSIDE/" + name, "w")
=== mknod
tried(os.mknod, "OUTSIDE/dev", 0o20666, os.makedev(1, 1))
=== mount
tried(libc.mount, b"none", b"/tmp", b"tmpfs", 0, b"")
=== unshare
tried(libc.unshare, 0x10000000); tried(libc.unshare, 0x20000)
=== chroot
tried(os.chroot, "/")
=== setuid(0)
os.getuid() and tried(os.setuid, 0); tried(libc.setresuid, 0, 0, 0)
=== execv sh
tried(os.execv, "/bin/sh", ["sh", "-c", "echo ESCAPED"])
=== subprocess
import subprocess; tried(subprocess.run, ["/bin/echo", "ESCAPED"])
=== posix_spawn
tried(os.posix_spawn, "/bin/echo", ["echo", "ESCAPED"], {})
=== multiprocessing
import multiprocessing
p = multiprocessing.get_context("fork").Process(target=print, args=("ESCAPED",)); p.start(); p.join()
=== ctypes execve
tried(libc.execve, b"/bin/sh", None, None)
=== io_uring_setup
raw(425, 425, 8, ctypes.create_string_buffer(120))
=== bpf + perf
raw(321, 280, 0, 0, 0); raw(298, 241, 0, 0, -1, -1, 0)
=== keyctl
raw(250, 219, 0, -3, 0); raw(248, 217, 0, 0, 0, 0, 0)
=== x32 syscall
libc.syscall(0x40000000 + 39) >= 0 and print("ESCAPED")
print("ESCAPED")
=== int 0x80 machine code
import mmap
page = mmap.mmap(-1, 4096, prot=7); page.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")
address = ctypes.addressof(ctypes.c_char.from_buffer(page))
print(ctypes.CFUNCTYPE(ctypes.c_int)(address)()); print("ESCAPED")
=== clock read
print(time.time() > 0)
=== TIOCSTI
tried(libc.ioctl, 0, 0x5412, b"x")
=== ANSI title/clipboard escapes
print("\x1b]0;owned\x07\x1b]52;c;b3duZWQ=\x07"); raise ValueError("\x1b]0;owned\x07")
=== script tags
print("<script>alert(1)</script>")
=== NUL/invalid UTF-8
os.write(1, b"\x00\xff\xfe\x00")
=== odd exit code
os._exit(71)
=== nice(-20)
tried(os.nice, -20)
=== closed stdin
os.close(0); input()
=== SIGSTOP self
os.kill(os.getpid(), signal.SIGSTOP)
=== SIGKILL self
os.kill(os.getpid(), signal.SIGKILL)
=== forge control-socket messages on all fds
for n in range(3, 300):
    try: os.write(n, b'{"status": 0, "cpu": 0, "locked_in": true}')
    except OSError: pass
=== gc search for supervisor state
import gc, socket
found = [o for o in gc.get_objects() if isinstance(o, socket.socket)]
for one in found: tried(one.send, b"x")
=== use any live socket object
import socket; tried(socket.socketpair); tried(socket.socket)
=== re-use the sandbox library to undo itself
kernel = sys.modules["selftrain.sandbox.inside.kernel"]
tried(kernel.unshare, kernel.NEW_USER); tried(kernel.mount, "none", "/", "tmpfs", 0)
tried(kernel.prctl, 22, 2); tried(kernel.landlock_ruleset, [])
=== raise core limit
import resource; tried(resource.setrlimit, resource.RLIMIT_CORE, (-1, -1))
=== hash-collision dict
m = 2**61 - 1; d = {}
for n in range(10**7): d[n * m] = 1
=== zlib bomb
import zlib
z = zlib.decompressobj(); zlib.decompress(zlib.compress(b"\0" * 10**8) * 3); bytearray(600 << 20)
=== atexit hang
import atexit; atexit.register(time.sleep, 1000)
=== __del__ hang
class D:
    def __del__(self): time.sleep(1000)
sys.modules["d"] = D()
=== stdin loop
while True: sys.stdin.read(1)
=== set clock
tried(time.clock_settime, time.CLOCK_REALTIME, 0)
=== sysrq
tried(open, "/proc/sysrq-trigger", "w")
=== /dev/mem
tried(open, "/dev/mem", "rb")
=== /dev/kvm
tried(open, "/dev/kvm", "r+b")
=== GPU device nodes
for name in ("nvidia0", "nvidiactl", "dri/card0", "kfd"): tried(open, "/dev/" + name, "r+b")
=== cgroup release_agent
tried(open, "/sys/fs/cgroup/release_agent", "w"); tried(open, "/sys/fs/cgroup/memory/release_agent", "w")
=== let go of the parent's death
tried(libc.prctl, 1, 0, 0, 0, 0)
=== be signalled for somebody else
tried(libc.fcntl, 0, 8, os.getppid())
=== clone with a namespace
raw(56, 220, 0x10000000 | 0x10000 | 17, 0, 0, 0, 0) if False else raw(56, 220, 0x10000000 | 17, 0, 0, 0, 0)
=== clone3
raw(435, 435, ctypes.create_string_buffer(88), 88)
=== userfaultfd
raw(323, 282, 0)
=== new seccomp filter
raw(317, 277, 0, 0, 0)
=== no exit for the child
os._exit = lambda *a: None
raise SystemExit
"""


def programs() -> dict[str, str]:
    parts = [part.split("\n", 1) for part in _TEXT.split("\n=== ")[1:]]
    return {name: PRELUDE + text for name, text in parts}
