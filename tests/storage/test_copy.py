"""An index is copied whole, in either direction, whatever interrupts the copy or is written meanwhile."""

import numpy as np
import pytest
from helpers import article, put, state, words_manifest

from search.api import Index
from search.article import Deletion, MeshHeading, PublicationType
from search.config import Config
from search.errors import IndexFolderError
from search.storage import backend
from search.storage import copy as copying
from search.storage.bm25 import question_terms
from search.storage.citation_graph import Edges, Kind, cited_by, edge_count, put_edges
from search.storage.nlm_ledger import NlmFileEntry
from search.storage.rows import prepare


@pytest.fixture(params=["to postgres", "to a folder"])
def addresses(request, tmp_path, postgres_server, encoder):
    """Where to copy from and where to: an index of either kind, and a place of the other."""
    from postgres_server import new_address

    both = [tmp_path / "index", new_address(postgres_server)]
    source, target = both if request.param == "to postgres" else reversed(both)
    backend.create(source, words_manifest(encoder))
    return source, target


def fill(address, encoder):
    """An index with something of everything."""
    terms = dict(
        mesh_headings=(MeshHeading("Aspirin", "D001241", True),), publication_types=(PublicationType("Review"),)
    )
    put(address, encoder, *[article(n, f"text w{n % 7} only{n}", **terms) for n in range(1, 60)], merge=True)
    put(address, encoder, article(7, "revised text", revised="2024-01-01"))
    writer = backend.open_writer(address)
    store = writer.store
    store.delete([9, 500])
    store.apply(store.plan([prepare(article(70, "of the part"))], sequence=2500003, part=True), encoder.encode(["a"]))
    store.apply(store.plan([Deletion(20), Deletion(777)], sequence=2500004))
    store.apply(store.plan([prepare(article(80, "not encoded yet"))]))
    store.apply(store.plan([prepare(article(8, "text again", revised="2024-01-01"))]))
    store.apply(store.plan([prepare(article(81, "it cites", references=(1, 7, "10.1/x", 999)))]))
    store.transact(lambda change: put_both(store, change))
    store.begin_file("a.xml", "00")
    store.finish_file("a.xml", "00", {"added": 3})
    writer.ledger.set_part("{}", everything=False)
    entry = NlmFileEntry(sequence=2500003, name="pubmed25n0003.xml.gz", baseline=True, md5="m", stamp="s", records=1,
                         deletions=0, rejected=0, kept=1, encoded=1, bytes=9, seconds=0.5)  # fmt: skip
    writer.ledger.record(entry)
    run, _ = writer.ledger.begin_query("aspirin[mh]")
    writer.ledger.note_done(run, [1, 2])
    writer.close()
    reader = backend.open_reader(address)
    reader.saved.write("kept", b"{}")
    reader.close()


def put_both(store, change):
    """Citations of the open collection, and an entry of Retraction Watch's list."""
    one, other = np.array([3, 5, 9, 10**6]), np.array([1, 1, 2, 7])
    put_edges(store, Kind.COLLECTION_CITED, change, Edges(other, one))
    put_edges(store, Kind.COLLECTION_CITING, change, Edges(one, other))
    columns = "pmid, doi, nature, day, reasons, notice_pmid, notice_doi"
    store.executemany(
        f"INSERT INTO retractions ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)",
        [(5, "10.1/y", "Retraction", 20200101, "Plagiarism", 0, "")],
    )


def whole(address):
    """All that an index says, but not how it is kept."""
    writer = backend.open_writer(address)
    found = state(writer.store)
    found["added"] = [
        tuple(row) for row in writer.store.rows("SELECT pmid, added, added_change FROM articles ORDER BY 1")
    ]
    found["files"] = writer.store.files()
    found["nlm"] = writer.ledger.files(), writer.ledger.part()
    found["query"] = writer.ledger.begin_query("aspirin[mh]")[1]
    writer.close()
    reader = backend.open_reader(address)
    found["saved"] = [(name, reader.saved.read(name)) for name in reader.saved.names()]
    found["documents"] = []
    with reader.view() as view:
        found["articles as such"] = list(view.store.articles())
    reader.close()
    return found


def copy(source, target, **options):
    reader = backend.open_reader(source)
    try:
        return copying.copy_index(reader, target, Config(), **options)
    finally:
        reader.close()


def test_everything_comes_along(addresses, encoder):
    source, target = addresses
    fill(source, encoder)
    assert copy(source, target) == 60
    assert whole(target) == whole(source)
    assert list(backend.verify(target)) == []
    with backend.open_reader(target).view() as view:
        cited = cited_by(view.store, [article(1), article(5, doi="10.1/X"), article(7)])
        assert (cited, edge_count(view.store)) == ({1: [3, 5, 81], 5: [81], 7: [81, 10**6]}, 8)
    for address in addresses:
        # Until it is rebuilt, tantivy counts words of what was deleted too.
        backend.repair(address)
    one, other = backend.open_reader(source), backend.open_reader(target)
    with one.view() as first, other.view() as second:
        for question in ("text w3", "revised", "only12 text"):
            vector = encoder.encode([question])
            (pmids, cosines), (same, close) = first.nearest(vector, 20)[0], second.nearest(vector, 20)[0]
            assert pmids.tolist() == same.tolist() and np.allclose(cosines, close, atol=1e-6)
            (pmids, scores), (same, close) = (
                first.bm25(question_terms(question), 20),
                second.bm25(question_terms(question), 20),
            )
            assert len(scores) == len(close) and np.allclose(scores, close, rtol=1e-3)
            assert first.bm25_scores(question_terms(question), same) == pytest.approx(
                second.bm25_scores(question_terms(question), same), rel=1e-3
            )
    one.close()
    other.close()


def test_a_copy_that_was_cut_off_goes_on_and_takes_what_was_written_meanwhile(addresses, encoder, monkeypatch):
    source, target = addresses
    fill(source, encoder)
    monkeypatch.setattr(copying, "BATCH", 10)
    put_batch = copying._put
    batches = []

    def stopping(store, batch, mark=None):
        if len(batches) == 3:
            raise KeyboardInterrupt
        batches.append([copied.row.pmid for copied in batch[0]])
        put_batch(store, batch, mark)

    monkeypatch.setattr(copying, "_put", stopping)
    with pytest.raises(KeyboardInterrupt):
        copy(source, target)
    with pytest.raises(IndexFolderError, match=r"an unfinished copy of .*run the command that began it again"):
        Index.open(target)
    # What the copy has already: revised, deleted, encoded; and what it does not have yet.
    put(
        source, encoder, article(3, "revised meanwhile", revised="2025-01-01"), article(55, "too", revised="2025-01-01")
    )
    writer = backend.open_writer(source)
    writer.store.delete([2])
    stale = prepare(article(8, "text again", revised="2024-01-01"))
    assert writer.store.put_vectors([(8, stale.text_hash)], encoder.encode([stale.text])) == 1
    same = article(4, "text w4 only4", mesh_headings=(MeshHeading("Aspirin", "D001241", True),),
                   publication_types=(PublicationType("Review"),))  # fmt: skip
    plan = writer.store.plan([prepare(same)], sequence=2500009)
    assert plan.confirmed == {4}
    writer.store.apply(plan)
    writer.close()
    monkeypatch.setattr(copying, "_put", lambda store, batch, mark=None: (
        batches.append([copied.row.pmid for copied in batch[0]]), put_batch(store, batch, mark))[-1])  # fmt: skip
    shares = []
    copy(source, target, progress=shares.append)
    assert whole(target) == whole(source)
    assert shares == sorted(shares) and shares[-1] == 1.0
    # What was there is not copied again, but what changed.
    assert batches[2][-1] < batches[3][0] and sorted(batches[-1]) == [3, 8, 55]


def test_only_an_unfinished_copy_is_gone_on_with(addresses, encoder):
    source, target = addresses
    put(source, encoder, article(1, "one"))
    copy(source, target)
    copy(source, target)
    assert whole(target) == whole(source)
    put(target, encoder, article(9, "nine"))
    with pytest.raises(IndexFolderError, match="holds an index already"):
        copy(source, target)


def test_a_copy_knows_what_is_new_since_a_saved_search_ran(addresses, encoder):
    source, target = addresses
    put(source, encoder, article(1, "one"))
    reader = backend.open_reader(source)
    with reader.view() as view:
        change = view.change
    reader.close()
    put(source, encoder, article(2, "two"))
    copy(source, target)
    put(target, encoder, article(3, "three"))
    reader = backend.open_reader(target)
    with reader.view() as view:
        assert view.newest(view.select(lambda sql: sql.added_after(change)), 5) == [3, 2]
    reader.close()
