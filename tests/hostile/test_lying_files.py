"""An index from elsewhere whose files lie, with checksums that fit: it is told, and `repair` does not believe it."""

import json
import os
import pickle
import random
import shutil
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import pytest
from helpers import article, put

from search.api import Index
from search.errors import IndexCorruptError, StoreError
from search.files import digest, sample_digest, sealed
from search.models.weights import _read_torch
from search.storage.bm25 import question_terms
from search.storage.folder.folder_reader import IndexReader
from search.storage.folder.folder_verify import verify
from search.storage.folder.folder_writer import IndexWriter
from search.storage.folder.sqlite_reader import StoreReader
from search.storage.folder.tantivy_index import LexicalIndex


def seal(folder):
    """Make the manifest agree with whatever its files hold now."""
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest.pop("checksum", None)
    for part in manifest["vector_segments"]:
        path = folder / part["file"]
        part.update(size=path.stat().st_size, checksum=digest(path), sample=sample_digest(path))
    lexical = manifest["lexical_part"]
    for name in lexical["checksums"]:
        path = folder / lexical["folder"] / name
        lexical["checksums"][name], lexical["sizes"][name] = digest(path), path.stat().st_size
    (folder / "manifest.json").write_bytes(sealed(manifest))


@pytest.fixture
def whole(folder, encoder):
    put(folder, encoder, *[article(pmid, f"word{pmid} text of some length") for pmid in range(1, 40)], merge=True)
    return folder


_CHILD = textwrap.dedent("""
    import sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[2])
    from helpers import WordEncoder
    from search.errors import SearchError
    from search.storage.bm25 import question_terms
    from search.storage.folder.folder_reader import IndexReader
    from search.storage.folder.folder_verify import verify
    told = 0
    for folder in sorted(Path(sys.argv[1]).iterdir()):
        try:
            problems = list(verify(folder))
            reader = IndexReader(folder)
            with reader.view() as view:
                view.nearest(WordEncoder().encode(["word7 text"]), 3)
                view.bm25(question_terms("word7 text"), 3)
            reader.close()
            told += bool(problems)
        except SearchError:
            told += 1
    print(told)
""")


@pytest.mark.parametrize("which", ["vectors-*.faiss", "articles.db"])
def test_files_that_lie_crash_nothing(whole, tmp_path, which):
    chance = random.Random(3)
    (path,) = whole.glob(which)
    data = path.read_bytes()
    for number in range(40):
        lying = bytearray(data)
        for _ in range(chance.choice([1, 2, 4])):
            place = chance.randrange(min(len(data), 400))
            lying[place : place + 8] = bytes([chance.choice([0, 1, 0x7F, 0xFF, chance.randrange(256)])]) * 8
        path.write_bytes(lying[: len(data)])
        seal(whole)
        shutil.copytree(whole, tmp_path / "copies" / str(number))
    command = [sys.executable, "-c", _CHILD, str(tmp_path / "copies"), str(Path(__file__).parents[1])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) > 5


def test_a_tantivy_folder_that_makes_it_panic_is_told(whole, monkeypatch):
    (folder,) = whole.glob("lexical-*")
    index = LexicalIndex(folder)

    class PanicException(BaseException):
        """What tantivy's binding raises is no Exception either."""

    class Panics:
        num_docs = 39

        def search(self, *arguments, **named):
            raise PanicException("index out of bounds")

    monkeypatch.setattr(index, "_searcher", Panics())
    with pytest.raises(IndexCorruptError, match=r"tantivy cannot read it \(index out of bounds\); `search repair`"):
        index.search(question_terms("word7"), 3)


def test_a_pmid_that_only_the_words_know_is_told(whole, encoder, tmp_path, monkeypatch):
    from search import api
    from search.storage.folder.sqlite_writer import StoreWriter

    monkeypatch.setattr(api, "_load_encoder", lambda model, config, **_: encoder)
    store = StoreWriter(whole / "articles.db")
    store.connection.execute("DELETE FROM articles WHERE pmid = 7")
    store.connection.execute("DELETE FROM documents WHERE pmid = 7")
    store.close()
    with Index.open(whole) as index, pytest.raises(IndexCorruptError, match="hold PMID 7, which is not in the index"):
        index.search("word7 text", mode="lexical")


def test_repair_reads_only_the_articles(whole, encoder):
    for path in [*whole.glob("vectors-*"), *whole.glob("lexical-*/*")]:
        path.write_bytes(b"\xff" * 1000)
    seal(whole)
    writer = IndexWriter(whole)
    writer.merge(rebuild=True)
    writer.close()
    assert list(verify(whole)) == []
    reader = IndexReader(whole)
    with reader.view() as view:
        assert view.nearest(encoder.encode(["word7 text of some length"]), 1)[0][0].tolist() == [7]
    reader.close()


def test_a_schema_from_elsewhere_runs_nothing(whole):
    store = StoreReader(whole / "articles.db")
    assert store.one("PRAGMA trusted_schema") == 0
    with pytest.raises(StoreError, match="not authorized"):
        store.rows("SELECT load_extension('/tmp/evil.so')")
    store.close()


def test_nothing_is_ever_unpickled():
    root = Path(__import__("search").__file__).parent
    sources = {path: path.read_text() for path in root.rglob("*.py")}
    # torch.save writes pickles: what reads them takes tensors only, as the test below shows.
    del sources[root / "models" / "weights.py"]
    banned = ("import pickle", "import dill", "import shelve", "joblib", "allow_pickle=True", "weights_only=False")
    assert [(path, word) for path, text in sources.items() for word in banned if word in text] == []


@pytest.mark.parametrize("harm", [os.system, eval, print, subprocess.run])
def test_weights_that_would_run_something_are_refused(tmp_path, harm):
    class Weights:
        def __reduce__(self):
            return harm, (f"touch {tmp_path / 'ran'}",)

    with zipfile.ZipFile(tmp_path / "pytorch_model.bin", "w") as archive:
        archive.writestr("model/data.pkl", pickle.dumps({"weight": Weights()}))
    with pytest.raises(ValueError, match="which is not a tensor"):
        _read_torch(tmp_path / "pytorch_model.bin")
    assert not (tmp_path / "ran").exists()
