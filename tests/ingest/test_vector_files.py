"""Files of vectors others have made: read as NCBI lays them out, and refused in words where they do not fit."""

import json

import numpy as np
import pytest

from search.errors import SourceError
from search.ingest.vector_files import open_vector_files


def chunk(folder, number, pmids, rows, dtype=np.float32):
    np.save(folder / f"embeds_chunk_{number}.npy", np.asarray(rows, dtype))
    (folder / f"pmids_chunk_{number}.json").write_text(json.dumps([str(pmid) for pmid in pmids]))


def test_a_folder_of_chunks_is_read_in_the_order_of_their_numbers(tmp_path):
    for number in (0, 2, 10):
        chunk(tmp_path, number, [number * 100 + 1, number * 100 + 2], [[number, 1], [number, 2]])
    files = open_vector_files([tmp_path])
    batches = [batch for file in files for batch in file.batches(1)]
    assert [int(pmids[0]) for pmids, _ in batches] == [1, 2, 201, 202, 1001, 1002]
    assert [rows.tolist() for _, rows in batches][-1] == [[10.0, 2.0]]
    assert all(isinstance(file.vectors, np.memmap) and file.is_medcpt for file in files)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("list.json", lambda path: path.write_text('[7, "8", 9]')),
        ("list.txt", lambda path: path.write_text("7\n8\n\n9\n")),
        ("list.npy", lambda path: np.save(path, np.array([7, 8, 9], np.uint32))),
    ],
)
def test_pmids_of_any_npy(tmp_path, name, write):
    np.save(tmp_path / "mine.npy", np.eye(3, dtype=np.float16))
    write(tmp_path / name)
    (file,) = open_vector_files([tmp_path / "mine.npy"], tmp_path / name)
    assert file.pmids.tolist() == [7, 8, 9] and not file.is_medcpt
    assert next(file.batches(10))[1].tolist() == np.eye(3).tolist()


def cut(path):
    path.write_bytes(path.read_bytes()[:-5])


BAD_VECTORS = {
    "cut off": (cut, "incomplete"),
    "empty": (lambda path: path.write_bytes(b""), "incomplete"),
    "text": (lambda path: path.write_text("not numpy at all"), "not a valid .npy file"),
    "objects": (lambda path: np.save(path, np.array([{}, {}], object), allow_pickle=True), "not a valid .npy file"),
    "one dimension": (lambda path: np.save(path, np.zeros(2, np.float32)), r"shape \(2,\), not vectors"),
    "integers": (lambda path: np.save(path, np.zeros((2, 3), np.int32)), "int32 .*not vectors"),
    "archive": (lambda path: path.write_bytes(_archive()), "archive"),
    "missing": (lambda path: path.unlink(), "No such file"),
    "folder without chunks": (lambda path: (path.unlink(), path.mkdir()), "holds no embeds_chunk"),
    "more rows": (lambda path: np.save(path, np.zeros((5, 3), np.float32)), "5 vectors and .* 2 PMIDs"),
}


def _archive():
    import io

    stream = io.BytesIO()
    np.savez(stream, a=np.zeros((2, 3)))
    return stream.getvalue()


@pytest.mark.parametrize("kind", BAD_VECTORS)
def test_a_bad_file_of_vectors_is_refused_by_name(tmp_path, kind):
    chunk(tmp_path, 0, [1, 2], np.ones((2, 3)))
    spoil, message = BAD_VECTORS[kind]
    path = tmp_path / "embeds_chunk_0.npy"
    spoil(path)
    with pytest.raises(SourceError, match=rf"embeds_chunk_0\.npy.*({message})"):
        open_vector_files([path])


BAD_PMIDS = {
    "missing": (None, "is missing"),
    "cut off": ('["1", "2', "incomplete"),
    "object": ('{"1": 0, "2": 1}', "not a list"),
    "word": ('["1", "two"]', r"entry 2 is 'two', not a PMID"),
    "zero": ("[1, 0]", "entry 2 is '0'"),
    "negative": ("[-4, 1]", "entry 1 is '-4'"),
    "fraction": ("[1, 2.5]", "entry 2 is '2.5'"),
    "true": ("[1, true]", "entry 2 is 'True'"),
    "endless": ("[1, " + "9" * 400 + "]", "entry 2 is"),
    "endless text": ('["1", "' + "9" * 5000 + '"]', "entry 2 is"),
    "twice": ('["5", 5]', "PMID 5 appears twice"),
    "bytes": (b"\xff\xfe\x00", "neither JSON nor text"),
}


@pytest.mark.parametrize("kind", BAD_PMIDS)
def test_bad_pmids_are_refused_by_name(tmp_path, kind):
    chunk(tmp_path, 0, [1, 2], np.ones((2, 3)))
    path = tmp_path / "pmids_chunk_0.json"
    text, message = BAD_PMIDS[kind]
    if text is None:
        path.unlink()
    elif isinstance(text, bytes):
        path.write_bytes(text)
    else:
        path.write_text(text)
    with pytest.raises(SourceError, match=rf"pmids_chunk_0\.json.*({message})"):
        open_vector_files([tmp_path])


def test_what_belongs_together_must_be_said(tmp_path):
    np.save(tmp_path / "mine.npy", np.ones((2, 3), np.float32))
    with pytest.raises(SourceError, match=r"mine\.npy: which PMIDs .* --pmids"):
        open_vector_files([tmp_path / "mine.npy"])
    chunk(tmp_path, 0, [1, 2], np.ones((2, 3)))
    (tmp_path / "p.txt").write_text("1\n2")
    with pytest.raises(SourceError, match=r"of one file .* 2 were given"):
        open_vector_files([tmp_path / "mine.npy", tmp_path / "embeds_chunk_0.npy"], tmp_path / "p.txt")
