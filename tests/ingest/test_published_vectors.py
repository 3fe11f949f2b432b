"""Published vectors in place of encoding: found as if encoded, and only where they are of the index's model."""

import json

import numpy as np
import pytest
from helpers import article, put

from search.errors import IndexMismatchError, SourceError
from search.ingest.published_vectors import import_vectors
from search.storage import backend
from search.storage.rows import prepare

TEXTS = {pmid: f"aspirin word{pmid} cancer" for pmid in range(1, 40)}


@pytest.fixture
def stored(address):
    """An index of articles without vectors."""
    writer = backend.open_writer(address)
    writer.store.apply(writer.store.plan([prepare(article(pmid, text)) for pmid, text in TEXTS.items()]))
    writer.close()
    return address


def write(folder, pmids, rows, name="mine"):
    np.save(folder / f"{name}.npy", rows)
    (folder / f"{name}.json").write_text(json.dumps([str(pmid) for pmid in pmids]))
    return [folder / f"{name}.npy"], folder / f"{name}.json"


def run(address, paths, pmids=None, **options):
    writer = backend.open_writer(address)
    try:
        return import_vectors(writer, writer.manifest, paths, pmids=pmids, **options)
    finally:
        writer.close()


def nearest(address, encoder, question):
    reader = backend.open_reader(address)
    with reader.view() as view:
        found = view.nearest(encoder.encode([question]), 3)[0]
        stale = view.store.counts()["stale"]
    reader.close()
    return found[0].tolist(), found[1], stale


def test_imported_vectors_are_found_as_encoded_ones_are(stored, encoder, tmp_path):
    pmids = [*TEXTS, 5000]
    rows = encoder.encode([*TEXTS.values(), "not in the index"]) * 7.5
    report = run(stored, *write(tmp_path, pmids, rows.astype(np.float64)), model="words")
    assert dict(report.counts) == {"imported": 39, "not in the index": 1} and report.read == 40
    found, scores, stale = nearest(stored, encoder, TEXTS[17])
    assert found[0] == 17 and scores[0] == pytest.approx(1, abs=1e-3) and stale == 0
    reader = backend.open_reader(stored)
    with reader.view() as view:
        assert view.unmerged() == 0
    reader.close()
    assert list(backend.verify(stored)) == []


def test_what_has_a_vector_keeps_it_unless_it_is_to_be_replaced(stored, encoder, tmp_path):
    put(stored, encoder, article(3, "zebra", revised="2024-01-01"))
    files = write(tmp_path, [3, 4], encoder.encode(["lion", TEXTS[4]]))
    report = run(stored, *files, model="words")
    assert dict(report.counts) == {"has a vector already": 1, "imported": 1}
    assert nearest(stored, encoder, "zebra")[0][0] == 3
    assert dict(run(stored, *files, model="words", replace=True).counts) == {"imported": 2}
    assert nearest(stored, encoder, "lion")[0][0] == 3


def test_rows_that_are_no_vectors_are_counted_and_the_others_taken(stored, encoder, tmp_path):
    rows = encoder.encode([TEXTS[pmid] for pmid in range(1, 6)])
    rows[0] = 0
    rows[1, 3] = np.nan
    rows[2, 0] = np.inf
    report = run(stored, *write(tmp_path, range(1, 6), rows), model="words")
    assert dict(report.counts) == {"unusable": 3, "imported": 2} and report.unusable == [1, 2, 3]
    assert nearest(stored, encoder, TEXTS[4])[0][0] == 4


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("mine", {}, r"name the model .* --model; the index is of words"),
        ("mine", {"model": "other"}, "of the model other and the index is of words"),
        ("embeds_chunk_0", {}, "of the model medcpt and the index is of words"),
    ],
)
def test_vectors_of_another_model_are_refused(stored, encoder, tmp_path, name, options, message):
    paths, pmids = write(tmp_path, [1, 2], encoder.encode(["a", "b"]), name)
    with pytest.raises(IndexMismatchError, match=message):
        run(stored, paths, pmids, **options)
    assert nearest(stored, encoder, "a")[2] == 39


def test_nothing_is_written_unless_all_files_fit(stored, encoder, tmp_path):
    good = tmp_path / "embeds_chunk_0.npy"
    np.save(good, encoder.encode([TEXTS[1]]))
    (tmp_path / "pmids_chunk_0.json").write_text('["1"]')
    np.save(tmp_path / "embeds_chunk_1.npy", np.ones((1, 7), np.float32))
    (tmp_path / "pmids_chunk_1.json").write_text('["2"]')
    with pytest.raises(IndexMismatchError, match=r"embeds_chunk_1\.npy holds vectors of 7 dimensions .* have 32"):
        run(stored, [tmp_path], model="words")
    (tmp_path / "embeds_chunk_1.npy").write_bytes(b"")
    with pytest.raises(SourceError, match=r"embeds_chunk_1"):
        run(stored, [tmp_path], model="words")
    assert nearest(stored, encoder, "a")[2] == 39
    (tmp_path / "embeds_chunk_1.npy").unlink()
    assert run(stored, [tmp_path], model="words").counts["imported"] == 1


def test_the_command(demo, tmp_path, capsys, monkeypatch):
    from search.api import Index
    from search.cli.main import cli

    with Index.open(demo) as index:
        pmid = index.search("aspirin", 1)[0].pmid
    np.save(tmp_path / "v.npy", np.ones((2, 384), np.float32))
    (tmp_path / "p.txt").write_text(f"{pmid}\n77")
    arguments = [str(tmp_path / "v.npy"), "--pmids", str(tmp_path / "p.txt"), "--index", str(demo)]
    cli(["import-vectors", *arguments, "--model", "builtin", "--replace"], standalone_mode=False)
    assert "2 vectors read: 1 imported, 1 not in the index" in capsys.readouterr().err
    cli(["import-vectors", *arguments, "--model", "builtin"], standalone_mode=False)
    assert "1 has a vector already" in capsys.readouterr().err
