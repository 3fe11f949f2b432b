"""The kernel hands every call of a process that changes a disk to another process, which decides what becomes of it.

This is Linux's seccomp user notification. It sees real system calls, whoever makes them (SQLite, Faiss, tantivy or
Python), on every thread, and needs neither a compiler nor the rights of root.
"""

import ctypes
import errno
import fcntl
import os
import platform
import struct
from functools import cache
from pathlib import Path

__all__ = ["CALLS", "Notice", "install_filter", "receive", "respond", "unavailable"]

_X86_64 = {
    "write": 1, "pwrite64": 18, "writev": 20, "pwritev": 296, "pwritev2": 328, "sendfile": 40, "copy_file_range": 326,
    "fsync": 74, "fdatasync": 75, "sync_file_range": 277, "msync": 26, "truncate": 76, "ftruncate": 77,
    "fallocate": 285, "rename": 82, "renameat": 264, "renameat2": 316, "link": 86, "linkat": 265, "symlink": 88,
    "symlinkat": 266, "unlink": 87, "unlinkat": 263, "mkdir": 83, "mkdirat": 258, "rmdir": 84, "open": 2,
    "openat": 257,
}  # fmt: skip
_AARCH64 = {
    "write": 64, "pwrite64": 68, "writev": 66, "pwritev": 70, "pwritev2": 287, "sendfile": 71, "copy_file_range": 285,
    "fsync": 82, "fdatasync": 83, "sync_file_range": 84, "msync": 227, "truncate": 45, "ftruncate": 46,
    "fallocate": 47, "renameat": 38, "renameat2": 276, "linkat": 37, "symlinkat": 36, "unlinkat": 35, "mkdirat": 34,
    "openat": 56,
}  # fmt: skip
_MACHINES = {"x86_64": (0xC000003E, 317, _X86_64), "aarch64": (0xC00000B7, 277, _AARCH64)}

_AUDIT, _SECCOMP, _NUMBERS = _MACHINES.get(platform.machine(), (0, 0, {}))

#: The names of the calls by their numbers.
CALLS = {number: name for name, number in _NUMBERS.items()}

# Opening is watched only where it makes or empties a file; where its flags stand.
_FLAGS_AT = {"open": 1, "openat": 2}
_CHANGES = os.O_CREAT | os.O_TRUNC

_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_ALLOW, _NOTIFY = 0x7FFF0000, 0x7FC00000
_RECEIVE, _SEND = 0xC0502100, 0xC0182101
_NOTICE = struct.Struct("=QIIiIQ6Q")
_RESPONSE = struct.Struct("=QqiI")
_GO_ON = 1


class Notice:
    """A call that waits for its answer: which process, which call, and its six arguments."""

    def __init__(self, data):
        self.id, self.pid, _, number, _, _, *self.arguments = _NOTICE.unpack(data)
        self.name = CALLS[number]

    def signed(self, place):
        """An argument as the `int` that a file descriptor is."""
        return ctypes.c_int(self.arguments[place] & 0xFFFFFFFF).value


@cache
def unavailable():
    """Say why this machine cannot do it; None if it can."""
    if not _NUMBERS:
        return f"no table of system calls for {platform.machine()}"
    try:
        if b"user_notif" not in Path("/proc/sys/kernel/seccomp/actions_avail").read_bytes():
            return "this kernel has no seccomp user notification"
    except OSError:
        return "this kernel has no seccomp"
    pid = os.fork()
    if pid == 0:
        try:
            install_filter()
            os._exit(0)
        except OSError as error:
            os._exit(error.errno or 1)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return f"seccomp is not allowed here ({os.strerror(code)})" if code else None


def install_filter():
    """Have every call in CALLS of this process, and of threads it starts, wait; return the descriptor to listen on."""
    program = b"".join(struct.pack("=HBBI", *step) for step in _steps())
    buffer = ctypes.create_string_buffer(program)
    header = struct.pack("@HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    no_new_privileges, set_filter, new_listener = 38, 1, 8
    if libc.prctl(no_new_privileges, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
    listener = libc.syscall(_SECCOMP, set_filter, new_listener, ctypes.c_char_p(header))
    if listener < 0:
        raise OSError(ctypes.get_errno(), "seccomp")
    return listener


def _steps():
    """The filter as steps of classic BPF: (code, jump if true, jump if false, value)."""
    number_at, audit_at, arguments_at = 0, 4, 16
    steps = [(_LOAD, 0, 0, audit_at), (_EQUAL, 1, 0, _AUDIT), (_RETURN, 0, 0, _ALLOW), (_LOAD, 0, 0, number_at)]
    for name, number in _NUMBERS.items():
        if name in _FLAGS_AT:
            steps += [
                (_EQUAL, 0, 4, number),
                (_LOAD, 0, 0, arguments_at + 8 * _FLAGS_AT[name]),
                (_ANY_BIT, 0, 1, _CHANGES),
                (_RETURN, 0, 0, _NOTIFY),
                (_RETURN, 0, 0, _ALLOW),
            ]
        else:
            steps += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _NOTIFY)]
    return [*steps, (_RETURN, 0, 0, _ALLOW)]


def receive(listener):
    """Return the next call that waits; None if whoever made it is gone already."""
    data = bytearray(_NOTICE.size)
    try:
        fcntl.ioctl(listener, _RECEIVE, data, True)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EINTR):
            return None
        raise
    return Notice(data)


def respond(listener, notice, *, error=0, value=None):
    """Let a call happen; or, with `error`, let it fail with that number; or, with `value`, return that undone."""
    go_on = _GO_ON if not error and value is None else 0
    try:
        fcntl.ioctl(listener, _SEND, _RESPONSE.pack(notice.id, value or 0, -error, go_on))
    except OSError as failure:
        if failure.errno != errno.ENOENT:
            raise
