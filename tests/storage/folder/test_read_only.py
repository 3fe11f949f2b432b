"""An index is read by whoever may read its files, and from a medium that cannot be written; nothing is hidden there."""

import os
import shlex
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from helpers import article, put, words_manifest

from search.errors import StoreError
from search.storage import backend
from search.storage.bm25 import question_terms
from search.storage.folder import sqlite_connection

NOBODY = 65534

only_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")


@pytest.fixture
def shared(encoder):
    """An index in a folder that everybody may read, merged, with unmerged changes."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        folder = Path(name) / "index"
        before = os.umask(0o022)
        try:
            backend.create(folder, words_manifest(encoder))
            put(folder, encoder, *[article(pmid, f"word{pmid} text") for pmid in range(1, 40)], merge=True)
            put(folder, encoder, article(50, "zebra text"))
            yield folder
        finally:
            os.umask(before)


def asked(folder, encoder):
    """What is found by meaning and by words, what is unmerged among it, and what `verify` says."""
    reader = backend.open_reader(folder)
    with reader.view() as view:
        found = [
            view.nearest(encoder.encode(["word7 text"]), 1)[0][0].tolist(),
            view.bm25(question_terms("word7"), 1)[0].tolist(),
            view.bm25(question_terms("zebra"), 1)[0].tolist(),
            view.store.counts()["articles"],
        ]
    reader.close()
    return [*found, list(backend.verify(folder))]


def as_nobody(function):
    """Return what a function returns, or raises, to a user who owns nothing, and check that it leaves no folder."""
    before = temporary_folders()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            text = repr(function())
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
        os.write(writing, text.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as stream:
        text = stream.read()
    os.waitpid(child, 0)
    assert temporary_folders() <= before
    return text


def temporary_folders():
    """The temporary folders of that user; other programs may make such folders meanwhile."""
    return {path for path in Path(tempfile.gettempdir()).glob("search-*") if path.stat().st_uid == NOBODY}


EXPECTED = [[7], [7], [50], 40, []]


@only_root
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_another_user_reads_what_was_merged_and_what_was_not(shared, encoder):
    assert asked(shared, encoder) == EXPECTED
    assert as_nobody(lambda: asked(shared, encoder)) == repr(EXPECTED)


@only_root
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_reader_that_ends_without_closing_leaves_nothing_behind(shared, encoder):
    opened = []
    assert as_nobody(lambda: opened.append(backend.open_reader(shared)) or len(opened)) == "1"


@only_root
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_another_user_sees_what_is_written_while_he_reads(shared, encoder):
    writer = backend.open_writer(shared)
    assert as_nobody(lambda: asked(shared, encoder)) == repr(EXPECTED)
    writer.store.delete([7])
    assert as_nobody(lambda: asked(shared, encoder)[3]) == "39"
    writer.close()
    assert as_nobody(lambda: asked(shared, encoder)[3]) == "39"


@only_root
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
@pytest.mark.parametrize("ending", ["manifest.json", "articles.db", "lexical-1/meta.json", "vectors-1.faiss"])
def test_a_file_that_may_not_be_read_is_reported_and_not_called_damaged(shared, encoder, ending):
    (shared / ending).chmod(0o600)
    said = as_nobody(lambda: asked(shared, encoder))
    assert "Error" in said and "ermi" in said and "repair" not in said and "damaged" not in said
    said = as_nobody(lambda: list(backend.verify(shared)))
    assert "ermi" in said and "Traceback" not in said


@only_root
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_without_shm_nothing_is_shown_that_may_be_written_meanwhile(shared, encoder):
    for ending in ("-shm", "-wal"):
        (shared / f"articles.db{ending}").unlink()
    assert "articles.db-shm is missing" in as_nobody(lambda: asked(shared, encoder))
    put(shared, encoder, article(51, "zebra two"))
    assert as_nobody(lambda: asked(shared, encoder)[3]) == "41"


@only_root
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
@pytest.mark.parametrize("log", [True, False], ids=["with commits in the log", "without"])
def test_a_read_only_medium_never_shows_less_than_was_committed(shared, encoder, tmp_path, monkeypatch, log):
    monkeypatch.setattr(sqlite_connection, "is_read_only_medium", lambda folder: True)
    copy = shared.parent / "copy"
    if log:
        holding = sqlite3.connect(shared / "articles.db")
        holding.execute("BEGIN")
        holding.execute("SELECT count(*) FROM articles").fetchone()
        put(shared, encoder, article(51, "zebra two"))
        assert (shared / "articles.db-wal").stat().st_size
    shutil.copytree(shared, copy, ignore=shutil.ignore_patterns("*-shm"))
    said = as_nobody(lambda: asked(copy, encoder))
    if log:
        holding.close()
        assert "articles.db-wal holds commits that cannot be read without articles.db-shm" in said
    else:
        assert said == repr(EXPECTED)


@only_root
def test_a_mount_that_is_read_only_is_searched_and_verified(shared, tmp_path):
    """The mount is seen by the shell that makes it, and by what it starts, and by nobody else."""
    place = shlex.quote(str(shared))
    alone = f"mount --bind {place} {place} && mount -o remount,ro,bind {place}"
    if subprocess.run(["unshare", "--mount", "sh", "-c", alone], capture_output=True, check=False).returncode:
        pytest.skip("mounting is not allowed here")
    search = f"{shlex.quote(sys.executable)} -m search"
    script = (
        f"{alone} && ! touch {place}/x && {search} verify --index {place} && "
        f"{search} query word7 --mode lexical -n 1 --format csv --index {place} && "
        f"{search} query zebra --mode lexical -n 1 --format csv --index {place} && "
        f"{search} status --format json --index {place}; {search} delete 7 --index {place}; echo rc $?"
    )
    for remove in ((), ("-shm", "-wal")):
        for ending in remove:
            (shared / f"articles.db{ending}").unlink()
        done = subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True, cwd=tmp_path)
        assert "word7 text" in done.stdout and "zebra text" in done.stdout and '"articles": 40' in done.stdout, done
        assert "no problems found" in done.stderr and "Traceback" not in done.stderr
        assert done.stdout.endswith("rc 1\n") and "ead-only file system" in done.stderr


def test_who_may_write_needs_no_shm(shared, encoder):
    for ending in ("-shm", "-wal"):
        (shared / f"articles.db{ending}").unlink()
    assert asked(shared, encoder) == EXPECTED
    assert np.array_equal(asked(shared, encoder)[0], [7])


def test_a_missing_database_is_no_read_only_medium(shared):
    with pytest.raises(StoreError, match="unable to open"):
        sqlite_connection.connect(shared / "none.db", writable=False)
