"""Reading in processes of their own gives what reading here gives, in the same order."""

import os
import signal
import subprocess
import sys
from collections import Counter

import pytest

from search.article import Article, Deletion
from search.errors import SearchError, SourceError
from search.formats.base import Rejection
from search.formats.open import open_source
from search.formats.pubmed_xml import splitter as xml_splitter
from search.ingest import prepare as reading
from search.ingest.prepare import NotOfPart, Preparer
from search.storage.rows import ArticleRow, prepare
from tests.source_files import a_set, record


@pytest.fixture
def small_parts(monkeypatch):
    """Let a part be a handful of records, and start processes for the first."""
    monkeypatch.setattr(xml_splitter, "_BATCH", 1)
    monkeypatch.setattr("search.formats.byte_stream._PIECE", 1500)
    monkeypatch.setattr(reading, "_PARTS_READ_HERE", 0)


@pytest.fixture
def elsewhere(small_parts):
    reader = Preparer(processes=2)
    yield reader
    reader.close()


def a_file(tmp_path, *records):
    import gzip

    path = tmp_path / "records.xml.gz"
    path.write_bytes(gzip.compress(a_set(*records).encode()))
    return open_source(path)


def titled(pmid):
    return record(f"<ArticleTitle>Title {pmid}</ArticleTitle>", pmid=str(pmid))


def pmids(records):
    return [item.pmid for item in records]


def test_records_come_in_their_order_with_deletions_and_rejections_between(tmp_path, elsewhere):
    deletions = "<DeleteCitation><PMID Version='1'>7</PMID></DeleteCitation>"
    records = [titled(pmid) for pmid in range(1, 200)]
    source = a_file(tmp_path, *records[:50], record("", pmid="1000"), deletions, *records[50:])
    found = list(elsewhere.read(source))
    expected = [prepare(item) if isinstance(item, Article) else item for item in source]
    assert found == expected
    assert Counter(type(item) for item in found) == {ArticleRow: 199, Deletion: 1, Rejection: 1}
    assert len(list(source.parts())) > 10


def test_what_came_before_broken_xml_is_read_and_the_error_names_its_line(tmp_path, elsewhere):
    broken = titled(60).replace("Title 60", "<b>Title 60")
    source = a_file(tmp_path, *(titled(pmid) for pmid in range(1, 60)), broken, *map(titled, range(61, 120)))
    found = []
    with pytest.raises(SourceError, match=r"line \d+: broken XML in the record of line 3 \(PMID 60\)"):
        for item in elsewhere.read(source):
            found.append(item)
    assert pmids(found) == list(range(1, 60))


def test_what_came_before_a_cut_is_read(tmp_path, elsewhere):
    source = a_file(tmp_path, *map(titled, range(1, 100)))
    path = tmp_path / "records.xml.gz"
    path.write_bytes(path.read_bytes()[:-20])
    found = []
    with pytest.raises(SourceError, match="cut off"):
        for item in elsewhere.read(source):
            found.append(item)
    assert pmids(found) == list(range(1, len(found) + 1))
    assert len(found) > 10


class Even:
    def __call__(self, article):
        return article.pmid % 2 == 0


def test_articles_that_do_not_belong_to_the_part_can_still_be_made_ready(tmp_path, small_parts):
    reader = Preparer(Even(), processes=2)
    source = a_file(tmp_path, *map(titled, range(1, 30)))
    found = list(reader.read(source))
    reader.close()
    assert pmids(found) == list(range(1, 30))
    assert [item.pmid for item in found if isinstance(item, NotOfPart)] == list(range(1, 30, 2))
    assert [item.row() if isinstance(item, NotOfPart) else item for item in found] == [prepare(item) for item in source]


def test_a_process_that_is_killed_is_told_of(tmp_path, elsewhere):
    records = elsewhere.read(a_file(tmp_path, *map(titled, range(1, 3000))))
    next(records)
    for process in elsewhere._executor._processes.values():
        os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(SearchError, match="ended from outside"):
        list(records)


def test_a_script_needs_no_guard_against_being_run_again(tmp_path):
    a_file(tmp_path, *map(titled, range(1, 200)))
    script = tmp_path / "script.py"
    script.write_text(
        "from search.ingest import prepare as reading\n"
        "from search.formats.open import open_source\n"
        "from search.formats.pubmed_xml import splitter as xml_splitter\n"
        "print('begun')\n"
        "reading._PARTS_READ_HERE = 0\n"
        "xml_splitter._BATCH = 1\n"
        "reader = reading.Preparer(processes=2)\n"
        f"source = open_source({str(tmp_path / 'records.xml.gz')!r})\n"
        "print(sum(1 for _ in reader.read(source)), bool(reader._executor))\n"
        "reader.close()\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert done.stdout.split("\n") == ["begun", "199 True", ""]
    assert done.stderr == ""


def test_a_short_file_is_read_here(tmp_path):
    reader = Preparer(processes=2)
    assert pmids(reader.read(a_file(tmp_path, titled(1), titled(2)))) == [1, 2]
    assert reader._executor is None
