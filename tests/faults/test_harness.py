"""The harness itself: what it cuts is cut, what it fails fails, and what it calls durable is what was synced."""

import errno
import os
import signal
import time

import pytest
from faults.durability import Disk
from faults.kernel import unavailable
from faults.supervisor import supervise

pytestmark = [
    pytest.mark.skipif(unavailable() is not None, reason=str(unavailable())),
    # What is forked runs no thread of ours.
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning"),
]


def replace_a_file(folder, *, sync):
    """Return a function that writes `new` beside `file` and puts it in its place."""

    def run(report):
        with (folder / "file.new").open("wb") as stream:
            stream.write(b"new content")
            stream.flush()
            if sync:
                os.fsync(stream.fileno())
        report("written")
        (folder / "file.new").replace(folder / "file")
        descriptor = os.open(folder, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
        report("done")

    return run


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "file").write_bytes(b"old content")
    return tmp_path


def at(number, verdict):
    return lambda current, call, outcome: verdict if current == number else None


def test_every_call_is_seen_with_what_was_reported_before_it(folder):
    told = []
    outcome = supervise(
        replace_a_file(folder, sync=True), folder, lambda n, call, so_far: told.append(so_far.reports[:])
    )
    assert [str(call) for call in outcome.calls] == [
        "openat file.new",
        "write file.new",
        "fsync file.new",
        "rename file.new -> file",
        f"fsync {folder.name}",
    ]
    assert told == [[], [], [], ["written"], ["written"]]
    assert (outcome.code, outcome.reports) == (0, ["written", "done"])
    assert (folder / "file").read_bytes() == b"new content"


def test_a_process_is_killed_before_a_call_or_in_the_middle_of_a_write(folder):
    assert supervise(replace_a_file(folder, sync=True), folder, at(2, "kill")).code == -9
    assert (folder / "file.new").read_bytes() == b""
    assert supervise(replace_a_file(folder, sync=True), folder, at(2, "tear")).code == -9
    assert (folder / "file.new").read_bytes() == b"new c"
    assert supervise(replace_a_file(folder, sync=True), folder, at(4, "kill")).reports == ["written"]
    assert (folder / "file").read_bytes() == b"old content"


def test_a_call_fails_with_the_error_that_is_given(folder):
    outcome = supervise(replace_a_file(folder, sync=True), folder, at(4, errno.EIO))
    assert "OSError: [Errno 5]" in outcome.said
    assert str(outcome.hit) == "rename file.new -> file"
    assert (folder / "file").read_bytes() == b"old content"


def test_a_short_write_is_gone_on_with_where_it_ended(folder):
    assert supervise(replace_a_file(folder, sync=True), folder, at(2, "short")).code == 0
    assert (folder / "file").read_bytes() == b"new content"


@pytest.mark.parametrize(("sync", "left"), [(True, b"new content"), (False, b"")])
def test_a_rename_without_fsync_leaves_an_empty_file_after_a_power_cut(folder, tmp_path_factory, sync, left):
    disk = Disk(folder)
    before = tmp_path_factory.mktemp("before")

    def decide(number, call, outcome):
        if call.is_sync and call.paths == (folder,):
            disk.write_strict(before / "strict")
            disk.write_named(before / "named")
        disk.note(call)

    supervise(replace_a_file(folder, sync=sync), folder, decide)
    # Before the folder is synced its names may be the old ones or the new ones.
    assert {path.name: path.read_bytes() for path in (before / "strict").iterdir()} == {"file": b"old content"}
    assert {path.name: path.read_bytes() for path in (before / "named").iterdir()} == {"file": left}
    disk.write_strict(before / "after")
    assert {path.name: path.read_bytes() for path in (before / "after").iterdir()} == {"file": left}


def test_what_waits_for_nothing_or_never_ends_hangs_and_what_is_slow_does_not(folder):
    def work_for(seconds):
        def run(report):
            while time.process_time() < seconds:
                pass

        return run

    assert supervise(lambda report: signal.pause(), folder, seconds=2).hung
    assert supervise(work_for(1000), folder, seconds=2).hung
    slow = supervise(work_for(1.5), folder, seconds=5)
    assert (slow.hung, slow.code) == (False, 0)


def test_a_process_that_is_stopped_for_a_while_does_not_hang(folder, tmp_path_factory):
    told = tmp_path_factory.mktemp("told") / "outcome"
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        outcome = supervise(lambda report: time.sleep(1.5), folder, seconds=3)
        told.write_text(f"{outcome.hung} {outcome.code}")
        os._exit(0)
    time.sleep(0.5)
    os.killpg(pid, signal.SIGSTOP)
    time.sleep(4)
    os.killpg(pid, signal.SIGCONT)
    os.waitpid(pid, 0)
    assert told.read_text() == "False 0"
