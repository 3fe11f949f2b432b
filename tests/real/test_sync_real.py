"""Syncing with NLM's own files, and a query that finds NLM's own records, against a server on loopback."""

import itertools

import pytest
from lxml import etree
from nlm_server import NlmServer
from syncing import QUICK, TextEncoder, make_index, start_process, store_state, sync

from search.article import Article
from search.formats.open import open_source
from search.ingest import pipeline as ingest
from search.pubmed.add_query import add_query
from search.pubmed.eutils import Eutils
from search.pubmed.subset import make_part
from search.storage.folder.folder_writer import IndexWriter
from search.storage.folder.sqlite_reader import StoreReader


@pytest.fixture
def server():
    server = NlmServer()
    yield server
    server.close()


@pytest.fixture
def files(shared_data):
    """NLM's files by number: an excerpt of a baseline file, of four updates, and of an update in two states."""
    folder = shared_data / "pubmed_xml"
    found = {
        number: folder / "pubmedparser_ns" / f"pubmed21n{number:04d}.xml.gz" for number in (1, 1000, 1001, 1002, 1003)
    }
    found[1016] = folder / "julielab" / "pubmed21n1016_excerpt_original.xml.gz"
    return {number: path.read_bytes() for number, path in found.items()}


def serve(server, files, *numbers):
    for number in numbers:
        server.put(21, number, files[number], "baseline" if number == 1 else "updatefiles")


def test_nlms_files_are_applied_as_they_are(server, files, tmp_path, shared_data):
    serve(server, files, *files)
    encoder = TextEncoder()
    folder = make_index(tmp_path / "index", encoder)
    report = sync(folder, server.url, encoder)
    records = {}
    for entry, content in zip(report.applied, files.values(), strict=True):
        path = tmp_path / entry.name
        path.write_bytes(content)
        read = [record for record in open_source(str(path)) if isinstance(record, Article)]
        assert entry.records == len(read)
        for article in read:
            records[article.pmid] = max(records.get(article.pmid, article), article, key=_age)
    assert records
    store = StoreReader(folder / "articles.db")
    assert {article.pmid: article for article in store.articles()} == records
    store.close()
    # NLM published the last one again, with some records changed.
    changed = shared_data / "pubmed_xml" / "julielab" / "pubmed21n1016_excerpt_partially_changed.xml.gz"
    server.put(21, 1016, changed.read_bytes(), "updatefiles")
    report = sync(folder, server.url, encoder)
    assert [entry.name for entry in report.applied] == ["pubmed21n1016.xml.gz"]
    assert report.ingest.counts["unchanged"] > 0
    assert report.ingest.counts["replaced"] > 0


def _age(article):
    return article.version, article.revised.toordinal() if article.revised else 0


@pytest.mark.parametrize("part", [None, make_part(2019, terms=["patients", "gene*"])], ids=["all", "part"])
def test_order_and_kills_do_not_matter(server, files, tmp_path, part):
    serve(server, files, *files)
    sync(make_index(tmp_path / "once", TextEncoder()), server.url, TextEncoder(), part=part)
    once = store_state(tmp_path / "once")
    assert once["articles"]
    for place, order in enumerate(itertools.islice(itertools.permutations(files), 100, 700, 300)):
        folder = make_index(tmp_path / f"order{place}", TextEncoder())
        server.files.clear()
        for number in order:
            serve(server, files, number)
            for _ in range(2):
                sync(folder, server.url, TextEncoder(), part=part)
        assert store_state(folder) == once
    if part is None:
        folder = make_index(tmp_path / "killed", TextEncoder())
        while start_process(folder, server.url, die_at=30).wait() != 0:
            pass
        assert store_state(folder) == once


def test_a_query_gives_the_records_as_they_are(server, tmp_path, shared_data):
    expected = {}
    for path in sorted((shared_data / "pubmed_xml" / "biopython").glob("*.xml")):
        for record in open_source(str(path)):
            expected[record.pmid] = record
        for element in etree.parse(path).getroot():
            pmid = int(element.findtext(".//PMID"))
            server.records[pmid] = (etree.tostring(element, encoding="unicode"), "2010/01/01")
    encoder = TextEncoder()
    folder = make_index(tmp_path / "index", encoder)
    eutils = Eutils(server.url, tool="tests", cache=tmp_path, patience=QUICK, interval=0)
    writer = IndexWriter(folder)
    report = add_query(writer, encoder, eutils, "anything")
    assert report.counts["added"] == len(expected) > 5
    assert {article.pmid: article for article in writer.store.articles()} == expected
    # As from the files themselves: nothing is new then.
    files = sorted((shared_data / "pubmed_xml" / "biopython").glob("*.xml"))
    assert ingest.add_files(writer, encoder, files).counts.keys() == {"unchanged"}
    writer.close()
    eutils.close()
