"""System call numbers: name, x86_64, aarch64 ("-": that machine has no such call).

The allow-list of each profile is exactly what is written here. Anything else is denied, also a call that a new kernel
adds.
"""

from __future__ import annotations

#: Column in the tables and the kernel's AUDIT_ARCH_* of each machine.
MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}

#: Compute, read and write open descriptors, tell the time. Nothing that takes a path.
PURE = """
read 0 63, write 1 64, readv 19 65, writev 20 66, lseek 8 62, close 3 57, fstat 5 80, poll 7 -, ppoll 271 73,
select 23 -, pselect6 270 72, mmap 9 222, mprotect 10 226, munmap 11 215, brk 12 214, mremap 25 216, madvise 28
233, rt_sigaction 13 134, rt_sigprocmask 14 135, rt_sigreturn 15 139, rt_sigpending 127 136, rt_sigtimedwait 128
137, rt_sigsuspend 130 133, sigaltstack 131 132, nanosleep 35 101, clock_nanosleep 230 115, clock_gettime 228
113, clock_getres 229 114, gettimeofday 96 169, time 201 -, times 100 153, getrusage 98 165, getpid 39 172,
getppid 110 173, gettid 186 178, getuid 102 174, geteuid 107 175, getgid 104 176, getegid 108 177, getresuid 118
148, getresgid 120 150, getgroups 115 158, getpgrp 111 -, getpgid 121 155, getsid 124 156, futex 202 98,
set_robust_list 273 99, get_robust_list 274 100, rseq 334 293, exit 60 93, exit_group 231 94, sched_yield 24
124, sched_getaffinity 204 123, getcpu 309 168, getrandom 318 278, dup 32 23, dup2 33 -, dup3 292 24, getrlimit
97 163, getcwd 79 17, pause 34 -, alarm 37 -, getitimer 36 102, setitimer 38 103, uname 63 160, sysinfo 99 179,
restart_syscall 219 128, set_tid_address 218 96, membarrier 324 283
"""

#: Calls that take a path; landlock decides which. No links, modes or owners, so that the scratch folder stays simple.
FILES = """
open 2 -, openat 257 56, creat 85 -, stat 4 -, lstat 6 -, newfstatat 262 79, statx 332 291, access 21 -,
faccessat 269 48, faccessat2 439 439, readlink 89 -, readlinkat 267 78, getdents 78 -, getdents64 217 61, unlink
87 -, unlinkat 263 35, rename 82 -, renameat 264 38, renameat2 316 276, mkdir 83 -, mkdirat 258 34, rmdir 84 -,
ftruncate 77 46, truncate 76 45, fsync 74 82, fdatasync 75 83, pread64 17 67, pwrite64 18 68, preadv 295 69,
pwritev 296 70, chdir 80 49, fchdir 81 50, umask 95 166, utimensat 280 88, copy_file_range 326 285, sendfile 40
71, pipe 22 -, pipe2 293 59, statfs 137 43, fstatfs 138 44, flock 73 32, fallocate 285 47, fadvise64 221 223
"""

#: Other programs, and pipes and socket pairs to them. Not socket().
PROCS = """
fork 57 -, vfork 58 -, execve 59 221, wait4 61 260, waitid 247 95, setpgid 109 154, setsid 112 157, socketpair
53 199, sendmsg 46 211, recvmsg 47 212, sendto 44 206, recvfrom 45 207, shutdown 48 210, epoll_create1 291 20,
epoll_ctl 233 21, epoll_wait 232 -, epoll_pwait 281 22, eventfd2 290 19, arch_prctl 158 -
"""

#: Calls that are allowed depending on their arguments: see seccomp_filter.py.
CONDITIONAL = """
kill 62 129, tgkill 234 131, clone 56 220, clone3 435 435, prlimit64 302 261, fcntl 72 25, ioctl 16 29, prctl
157 167
"""


def numbers(table: str, machine: str) -> dict[str, int]:
    """The calls of a table that this machine has, by name."""
    column = MACHINES[machine][0]
    rows = [entry.split() for entry in table.replace("\n", " ").split(",")]
    return {name: int(pair[column]) for name, *pair in rows if pair[column] != "-"}
