"""Run a function in a process whose every change to a folder is counted, and may be cut off or made to fail."""

import ctypes
import errno
import os
import select
import signal
import socket
from dataclasses import dataclass, field
from pathlib import Path

from faults.kernel import install_filter, receive, respond

__all__ = ["Call", "Outcome", "apart", "supervise"]

_AT_FDCWD = -100
_PIDFD_GETFD = 438
_WRITES = frozenset({"write", "pwrite64", "writev", "pwritev", "pwritev2", "sendfile", "copy_file_range"})
_SYNCS = frozenset({"fsync", "fdatasync"})
_BY_DESCRIPTOR = {
    **dict.fromkeys((*_WRITES, *_SYNCS, "sync_file_range", "ftruncate", "fallocate"), 0),
    "copy_file_range": 2,
}
# Where the paths of a call stand: (descriptor of the folder or None, pointer) each.
_PATHS = {
    "truncate": ((None, 0),), "rename": ((None, 0), (None, 1)), "renameat": ((0, 1), (2, 3)),
    "renameat2": ((0, 1), (2, 3)), "link": ((None, 0), (None, 1)), "linkat": ((0, 1), (2, 3)),
    "symlink": ((None, 1),), "symlinkat": ((1, 2),), "unlink": ((None, 0),), "unlinkat": ((0, 1),),
    "mkdir": ((None, 0),), "mkdirat": ((0, 1),), "rmdir": ((None, 0),), "open": ((None, 0),), "openat": ((0, 1),),
}  # fmt: skip


@dataclass(frozen=True)
class Call:
    """A call that is about to change the watched folder, or to make a change durable; paths are those it names."""

    name: str
    paths: tuple[Path, ...]
    grows: bool = False

    @property
    def is_write(self):
        """Whether it writes bytes."""
        return self.name in _WRITES

    @property
    def is_sync(self):
        """Whether it makes durable what was written."""
        return self.name in _SYNCS

    @property
    def takes_space(self):
        """Whether a full disk makes it fail."""
        return self.is_write or self.grows or self.name in ("fallocate", "open", "openat", "mkdir", "mkdirat")

    def __str__(self):
        return f"{self.name} {' -> '.join(path.name for path in self.paths)}"


@dataclass
class Outcome:
    """What became of a supervised run: exit code (negative: the signal), the calls it made, what it said."""

    code: int = 0
    calls: list[Call] = field(default_factory=list)
    said: str = ""
    reports: list[str] = field(default_factory=list)
    hung: bool = False
    hit: Call | None = None


class _Patience:
    """Tells whether a process hangs: so many seconds in which it had no time of the processor, or so much of that.

    On a machine that is busy, or where this process is stopped for a while, the clock alone says nothing.
    """

    def __init__(self, pid, seconds):
        self._stat = Path(f"/proc/{pid}/stat")
        self._seconds = seconds
        self._used = self._idle = 0

    def is_at_its_end(self):
        """To be asked after every second without a sign of the process."""
        user, system = self._stat.read_text().rpartition(")")[2].split()[11:13]
        used = int(user) + int(system)
        self._idle = self._idle + 1 if used == self._used else 0
        self._used = used
        return self._idle >= self._seconds or used / os.sysconf("SC_CLK_TCK") >= self._seconds


def supervise(function, watched, decide=None, *, seconds=60):
    """Run `function(report)` in a forked process and return the Outcome.

    `decide(number, call, outcome)` is asked before each change to the `watched` folder, the first being number 1. It
    returns None to let it be, `"kill"` to kill the process instead, `"tear"` to write the first half and kill, a
    number of errno to let it fail, or `"short"` to write the first half only and return that. `report(text)` tells
    this process something; `outcome.reports` holds what was told before the call that is being decided.
    """
    watched = Path(watched).resolve()
    ours, theirs = socket.socketpair()
    reading, writing = os.pipe()
    said = os.memfd_create("said")
    pid = os.fork()
    if pid == 0:
        _be_supervised(function, theirs, writing, said)
    theirs.close()
    os.close(writing)
    os.set_blocking(reading, False)
    outcome = Outcome()
    try:
        _, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
        listener = descriptors[0]
        try:
            _watch(listener, pid, watched, decide, outcome, reading, _Patience(pid, seconds))
        finally:
            os.close(listener)
        outcome.code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        _drain(reading, outcome)
        outcome.said = os.pread(said, 1 << 20, 0).decode("utf-8", "replace")
    finally:
        ours.close()
        os.close(reading)
        os.close(said)
    return outcome


def _be_supervised(function, sock, writing, said):
    code = 70
    try:
        os.dup2(said, 1)
        os.dup2(said, 2)
        listener = install_filter()
        socket.send_fds(sock, [b"x"], [listener])
        os.close(listener)
        code = function(lambda text: os.write(writing, text.encode() + b"\n")) or 0
    except BaseException:
        import traceback

        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)


def apart(function, *, seconds=60):
    """Run `function()` in a forked process and return the text it returns; RuntimeError if it fails or hangs."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.close(reading)
            silence = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silence, 1)
            os.dup2(silence, 2)
            text = function()
            code = 0
        except BaseException:
            import traceback

            text = traceback.format_exc(-3, chain=False)
        with os.fdopen(writing, "wb") as stream:
            stream.write(text.encode())
        os._exit(code)
    os.close(writing)
    parts, patience = [], _Patience(pid, seconds)
    while True:
        if select.select([reading], [], [], 1)[0]:
            part = os.read(reading, 1 << 16)
            if not part:
                break
            parts.append(part)
        elif patience.is_at_its_end():
            os.kill(pid, signal.SIGKILL)
            parts.append(b"hung")
            break
    os.close(reading)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    text = b"".join(parts).decode("utf-8", "replace")
    if code:
        raise RuntimeError(f"ended with {code}: {text}")
    return text


def _watch(listener, pid, watched, decide, outcome, reports, patience):
    poll = select.poll()
    pidfd = os.pidfd_open(pid)
    poll.register(listener, select.POLLIN)
    poll.register(pidfd, select.POLLIN)
    while True:
        events = dict(poll.poll(1000))
        if not events:
            if not patience.is_at_its_end():
                continue
            os.kill(pid, signal.SIGKILL)
            outcome.hung = True
        if not events.get(listener, 0) & select.POLLIN:
            os.close(pidfd)
            return
        notice = receive(listener)
        if notice is None:
            continue
        call = _call(notice, watched)
        verdict = None
        if call is not None:
            _drain(reports, outcome)
            outcome.calls.append(call)
            verdict = decide(len(outcome.calls), call, outcome) if decide else None
        if verdict is not None and outcome.hit is None:
            outcome.hit = call
        _carry_out(listener, notice, call, verdict, pid)


def _carry_out(listener, notice, call, verdict, pid):
    if verdict is None:
        respond(listener, notice)
    elif verdict in ("tear", "short"):
        done = _write_half(notice, pid) if call.is_write else None
        if verdict == "tear":
            os.kill(pid, signal.SIGKILL)
        elif done:
            respond(listener, notice, value=done)
        else:
            respond(listener, notice, error=errno.ENOSPC)
    elif verdict == "kill":
        os.kill(pid, signal.SIGKILL)
    else:
        respond(listener, notice, error=verdict)


def _drain(reading, outcome):
    text = b""
    while True:
        try:
            part = os.read(reading, 1 << 16)
        except BlockingIOError:
            break
        if not part:
            break
        text += part
    outcome.reports += text.decode().splitlines()


def _call(notice, watched):
    """Return the call if it is about something in the watched folder."""
    try:
        if notice.name in _BY_DESCRIPTOR:
            link = Path(f"/proc/{notice.pid}/fd/{notice.signed(_BY_DESCRIPTOR[notice.name])}")
            paths = (link.readlink(),)
        elif notice.name in _PATHS:
            paths = tuple(_path(notice, *where) for where in _PATHS[notice.name])
        else:
            return None
    except OSError:
        return None
    inside = any(path == watched or watched in path.parents for path in paths)
    if not inside:
        return None
    grows = notice.name == "ftruncate" and link.stat().st_size < notice.arguments[1]
    return Call(notice.name, paths, grows)


def _path(notice, folder, pointer):
    base = Path(f"/proc/{notice.pid}/cwd")
    if folder is not None and notice.signed(folder) != _AT_FDCWD:
        base = Path(f"/proc/{notice.pid}/fd/{notice.signed(folder)}")
    text = _memory(notice.pid, notice.arguments[pointer], 4096).split(b"\0")[0].decode()
    return Path(os.path.normpath(base.readlink() / text))


def _memory(pid, address, size):
    """Read a process's memory; less than `size` where it ends."""
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        memory.seek(address)
        try:
            return memory.read(size)
        except OSError:
            memory.seek(address)
            return memory.read(4096 - address % 4096)


def _write_half(notice, pid):
    """Do the first half of a write in the place of the process, and return how many bytes that is."""
    if notice.name not in ("write", "pwrite64"):
        return 0
    size = notice.arguments[2]
    half = _memory(notice.pid, notice.arguments[1], size // 2) if size > 1 else b""
    if not half:
        return 0
    # The same open file: what is written moves the place where the process goes on.
    pidfd = os.pidfd_open(pid)
    descriptor = ctypes.CDLL(None, use_errno=True).syscall(_PIDFD_GETFD, pidfd, notice.signed(0), 0)
    os.close(pidfd)
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), "pidfd_getfd")
    try:
        return (
            os.pwrite(descriptor, half, notice.arguments[3])
            if notice.name == "pwrite64"
            else os.write(descriptor, half)
        )
    finally:
        os.close(descriptor)
