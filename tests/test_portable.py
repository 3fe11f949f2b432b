"""What Windows and macOS do differently, as far as it can be shown on another system."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from search import Index, files
from search.files import available_cores, fsync_folder, link_or_copy, replace_file, write_atomically

ROOT = Path(__file__).parents[1]


@pytest.fixture
def refusing(monkeypatch):
    """Let `Path.replace` refuse so many times, as Windows does while another process has the file open."""

    def refuse(times: int) -> list[Path]:
        asked: list[Path] = []
        replace = Path.replace

        def refused(self, target):
            asked.append(self)
            if len(asked) <= times:
                raise PermissionError(13, "The process cannot access the file because it is being used", str(target))
            return replace(self, target)

        monkeypatch.setattr(Path, "replace", refused)
        monkeypatch.setattr(files, "_WINDOWS", True)
        monkeypatch.setattr(files, "_PAUSE_SECONDS", 0)
        return asked

    return refuse


def test_a_file_that_another_process_has_open_is_replaced_when_it_is_closed(tmp_path, refusing):
    (tmp_path / "manifest.json").write_bytes(b"old")
    asked = refusing(5)
    write_atomically(tmp_path / "manifest.json", b"new")
    assert (tmp_path / "manifest.json").read_bytes() == b"new"
    assert len(asked) == 6 and [path.name for path in tmp_path.iterdir()] == ["manifest.json"]


def test_a_file_that_is_never_closed_is_an_error_and_stays_as_it_was(tmp_path, refusing):
    (tmp_path / "manifest.json").write_bytes(b"old")
    refusing(1000)
    with pytest.raises(PermissionError):
        write_atomically(tmp_path / "manifest.json", b"new")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("manifest.json", b"old")]


def test_elsewhere_a_refusal_is_final(tmp_path, refusing, monkeypatch):
    asked = refusing(1)
    monkeypatch.setattr(files, "_WINDOWS", False)
    (tmp_path / "new").write_bytes(b"new")
    with pytest.raises(PermissionError):
        replace_file(tmp_path / "new", tmp_path / "old")
    assert len(asked) == 1


def test_a_folder_that_cannot_be_flushed_is_not_opened(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_WINDOWS", True)
    fsync_folder(tmp_path / "nothing here")
    monkeypatch.setattr(files, "_WINDOWS", False)
    with pytest.raises(FileNotFoundError):
        fsync_folder(tmp_path / "nothing here")


@pytest.mark.parametrize("symbolic", [True, False])
def test_where_there_are_no_links_files_are_copied(tmp_path, monkeypatch, symbolic):
    (tmp_path / "file").write_bytes(b"content")
    link_or_copy(tmp_path / "file", tmp_path / "link", symbolic=symbolic)
    assert (tmp_path / "file").samefile(tmp_path / "link")

    def refused(*_, **__):
        raise OSError(1, "A required privilege is not held by the client")

    monkeypatch.setattr(os, "link", refused)
    monkeypatch.setattr(os, "symlink", refused)
    link_or_copy(tmp_path / "file", tmp_path / "copy", symbolic=symbolic)
    assert (tmp_path / "copy").read_bytes() == b"content"
    assert not (tmp_path / "file").samefile(tmp_path / "copy")


def test_cores_are_counted_where_the_system_does_not_say_which_a_process_may_use(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert available_cores() == 7


def test_files_that_a_reader_has_open_are_removed_by_a_later_writer(built_demo, tmp_path, monkeypatch):
    shutil.copytree(built_demo, tmp_path / "index")
    left = [tmp_path / "index" / f"vectors-{number}.faiss" for number in (97, 98, 99)]
    for path in left:
        path.write_bytes(b"of a generation that is no longer active")
    unlink = Path.unlink

    def refused(self, missing_ok=False):
        if self.name == "vectors-98.faiss":
            raise PermissionError(32, "The process cannot access the file because it is being used", str(self))
        unlink(self, missing_ok=missing_ok)

    with Index.open(tmp_path / "index") as index:
        first, second = (hit.pmid for hit in index.search("does aspirin prevent bowel cancer?", 2))
        with monkeypatch.context() as patch:
            patch.setattr(Path, "unlink", refused)
            index.delete([first])
            index.merge()
        assert [path.exists() for path in left] == [False, True, False]
        index.delete([second])
        index.merge()
    assert not any(path.exists() for path in left)
    assert Index.verify(tmp_path / "index") == []


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_output_that_the_locale_has_no_letters_for(built_demo, tmp_path, encoding):
    """What goes to a pipe is UTF-8, unless another encoding is chosen: then what it lacks is a question mark."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": encoding}
    command = [sys.executable, "-m", "search", "query", "aspirin", "--index", str(built_demo), "--evidence", "1"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"?" in done.stdout if encoding == "ascii" else done.stdout.decode(encoding)
    del environment["PYTHONIOENCODING"]
    environment |= {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run([*command, "--json"], cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout.decode("utf-8"))


@pytest.mark.skipif(os.name == "nt", reason="a backslash separates folders there")
def test_a_path_with_backslashes_and_letters_beyond_ascii(tmp_path):
    folder = tmp_path / "C:\\Users\\Zoë Ångström\\indexes"
    sample = next((ROOT / "search" / "sample").glob("*.xml"))
    for arguments in (["add", str(sample)], ["query", "aspirin", "-n", "1", "--mode", "lexical"], ["verify"]):
        command = [sys.executable, "-m", "search", *arguments, "--index", str(folder)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
