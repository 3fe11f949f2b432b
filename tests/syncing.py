"""An index that is synced with a small encoder, what its store says then, and a process that dies on the way."""

import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
from helpers import WordEncoder

import search
from search import ingest
from search.article import TEXT_RULE
from search.index import IndexWriter, Manifest, create_folder
from search.sources.nlm_files import FileServer
from search.sources.web import Patience
from search.store import StoreReader
from search.sync import synchronize

QUICK = Patience(attempts=4, first=0.001)


class TextEncoder(WordEncoder):
    """Quicker than words: a vector for each text, and equal for equal ones only."""

    def encode(self, texts, kind="document"):
        self.encoded.extend(texts)
        digests = [hashlib.blake2b(text.encode(), digest_size=self.dimension).digest() for text in texts]
        rows = np.frombuffer(b"".join(digests), np.uint8).reshape(len(texts), self.dimension).astype(np.float32)
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1)


def make_index(folder, encoder):
    manifest = Manifest(
        model="words", fingerprint="words", dimension=encoder.dimension, text_rule=TEXT_RULE, vectors="float16"
    )
    create_folder(folder, manifest)
    return folder


def sync(folder, url, encoder, **options):
    """Sync an index with a server and return the report."""
    writer = IndexWriter(folder)
    origin = FileServer(url, folder / "downloads", timeout=5, patience=QUICK)
    try:
        return synchronize(writer, encoder, origin, **options)
    finally:
        origin.close()
        writer.close()


def store_state(folder):
    """All that a store says, but not when it was told."""
    tables = {
        "articles": "SELECT pmid, version, revised, sequence, date_first, date_last, has_abstract, free_full_text, "
        "retracted, stale, text_hash, record_hash FROM articles ORDER BY pmid",
        "documents": "SELECT * FROM documents ORDER BY pmid",
        "vectors": "SELECT pmid, text_hash, vector FROM vectors ORDER BY pmid",
        "tombstones": "SELECT pmid, sequence FROM tombstones ORDER BY pmid",
        "terms": "SELECT kind, name, ui, pmid, major FROM article_terms JOIN terms ON id = term ORDER BY 1, 2, 3, 4",
        "ledger": "SELECT name, md5, records, deletions, rejected FROM nlm_files ORDER BY sequence",
        "part": "SELECT pmid FROM part_articles ORDER BY pmid",
    }
    store = StoreReader(folder / "articles.db")
    found = {name: store.connection.execute(sql).fetchall() for name, sql in tables.items()}
    store.close()
    return found


def articles(folder):
    """The PMIDs of an index with their titles."""
    store = StoreReader(folder / "articles.db")
    found = {article.pmid: article.title for article in store.articles()}
    store.close()
    return found


def start_process(folder, url, *, die_at=0):
    """Sync in another process, which kills itself before it writes for the `die_at`th time."""
    root = Path(search.__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{Path(__file__).parent}"}
    command = [sys.executable, str(Path(__file__)), str(folder), url, str(die_at)]
    return subprocess.Popen(command, env=environment, cwd=root)


def _main(folder, url, die_at):
    from search.store import StoreWriter

    left = int(die_at)
    apply = StoreWriter.apply

    def dying(self, plan, vectors=None):
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return apply(self, plan, vectors)

    StoreWriter.apply = dying
    ingest.BATCH = 4
    sync(Path(folder), url, TextEncoder())


if __name__ == "__main__":
    _main(*sys.argv[1:])
