"""A full disk behind standard output is one line and exit code 1; a reader that has seen enough is no error."""

import os
import sys
import threading

import pytest

from search.cli import main as command_line

DEMO = ["--index", "demo"]
PRINTING = [
    ["--help"],
    ["query", "--help"],
    ["--version"],
    ["status", *DEMO],
    ["status", "--format", "json", *DEMO],
    *(["query", "aspirin", "--format", style, *DEMO] for style in ("text", "json", "jsonl", "csv")),
    ["ask", "aspirin", *DEMO],
    ["table", "aspirin", *DEMO],
    ["similar", "990000025", *DEMO],
    ["facets", "aspirin", *DEMO],
    ["strategy", "aspirin[tiab]", *DEMO],
    ["show", "990000025", *DEMO],
    ["show", "990000025", "--format", "json", *DEMO],
    ["saved", "kept", *DEMO],
    ["new", "kept", "--format", "json", *DEMO],
    ["export", "--all", "--format", "ris", *DEMO],
    ["config", *DEMO],
    ["models"],
    ["completion", "bash"],
    ["token"],
]


@pytest.fixture(scope="module")
def place(built_demo, tmp_path_factory):
    """A folder with an index in it that has a saved search."""
    import shutil

    from search import Index

    folder = tmp_path_factory.mktemp("refused")
    shutil.copytree(built_demo, folder / "demo")
    with Index.open(folder / "demo") as index:
        index.save_search("kept", "aspirin", 1, mode="lexical")
    return folder


@pytest.fixture
def run(monkeypatch, capsys, place):
    """Run a command whose standard output is a file of the system; return its exit code and standard error."""

    def _run(arguments, number):
        monkeypatch.chdir(place)
        monkeypatch.setattr(sys, "argv", ["search", *arguments])
        with os.fdopen(number, "w", encoding="utf-8") as stdout:
            monkeypatch.setattr(sys, "stdout", stdout)
            with pytest.raises(SystemExit) as stopped:
                command_line.main()
        return stopped.value.code, capsys.readouterr().err

    return _run


def shown(arguments):
    return " ".join(arguments[:1] + [word for word in arguments if word in ("json", "jsonl", "csv", "--help")])


@pytest.mark.parametrize("arguments", PRINTING, ids=shown)
def test_a_full_disk_is_told_in_one_line(run, arguments):
    code, err = run(arguments, os.open("/dev/full", os.O_WRONLY))
    assert code == 1
    assert err.count("\n") == 1 and err.startswith("error: cannot write the output")
    assert err.rstrip().endswith("No space left on device")


@pytest.mark.parametrize("arguments", PRINTING, ids=shown)
def test_a_pipe_whose_reader_is_gone_is_no_error(run, arguments):
    reading, writing = os.pipe()
    os.close(reading)
    assert run(arguments, writing) == (0, "")


def test_a_file_that_cannot_be_written_is_named_and_not_left_half_written(run, place):
    from search.api import Index

    (place / "out.ris.part").symlink_to("/dev/full")
    code, err = run(["export", "--all", "--format", "ris", "-o", "out.ris", *DEMO], os.open(os.devnull, os.O_WRONLY))
    assert code == 1 and err.startswith("error: out.ris: ") and err.endswith("No space left on device\n")
    assert err.count("\n") == 1 and not (place / "out.ris.part").is_symlink() and not (place / "out.ris").exists()
    with Index.open(place / "demo") as index:
        assert index.status().articles


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_link_leads_on_and_a_pipe_or_device_is_written_as_it_is(run, place):
    (place / "real.ris").write_text("old")
    (place / "link.ris").symlink_to("real.ris")
    (place / "full.ris").symlink_to("/dev/full")
    os.mkfifo(place / "pipe.ris")
    (place / "one.txt").write_text("TY  - JOUR\nTI  - A title\nER  - \n")
    export = ["export", "990000025", "--format", "ris", *DEMO]
    got = []
    for arguments in (export, ["dedupe", "one.txt"]):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        assert run([*arguments, "-o", "link.ris"], nowhere)[0] == 0
        written = (place / "real.ris").read_text()
        assert written.startswith("TY  - JOUR") and (place / "link.ris").is_symlink()
        reader = threading.Thread(target=lambda: got.append((place / "pipe.ris").read_text()))
        reader.start()
        assert run([*arguments, "-o", "pipe.ris"], os.open(os.devnull, os.O_WRONLY))[0] == 0
        reader.join()
        assert got.pop() == written and (place / "pipe.ris").is_fifo()
        code, err = run([*arguments, "-o", "full.ris"], os.open(os.devnull, os.O_WRONLY))
        assert (code, err) == (1, "error: full.ris: No space left on device\n") and (place / "full.ris").is_symlink()
    assert list(place.glob("*.part")) == []
