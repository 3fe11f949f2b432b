"""An index that is synced with a small encoder, what its store says then, and a process that dies on the way."""

import hashlib
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from helpers import WordEncoder, words_manifest
from helpers import state as state_of

import search
from search.ingest import pipeline as ingest
from search.pubmed.http import Patience
from search.pubmed.nlm_files import FileServer
from search.pubmed.sync import synchronize
from search.storage import backend

QUICK = Patience(attempts=4, first=0.001)


class TextEncoder(WordEncoder):
    """Quicker than words: a vector for each text, and equal for equal ones only."""

    def encode(self, texts, kind="document"):
        self.encoded.extend(texts)
        digests = [hashlib.blake2b(text.encode(), digest_size=self.dimension).digest() for text in texts]
        rows = np.frombuffer(b"".join(digests), np.uint8).reshape(len(texts), self.dimension).astype(np.float32)
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1)


def make_index(address, encoder):
    backend.create(address, words_manifest(encoder))
    return address


def downloads_of(address):
    """Where a sync of an index downloads to."""
    if isinstance(address, Path):
        return address / "downloads"
    return Path(tempfile.gettempdir()) / f"downloads-{hashlib.sha256(address.encode()).hexdigest()[:16]}"


def sync(address, url, encoder, **options):
    """Sync an index with a server and return the report."""
    writer = backend.open_writer(address)
    origin = FileServer(url, downloads_of(address), timeout=5, patience=QUICK)
    try:
        return synchronize(writer, encoder, origin, **options)
    finally:
        origin.close()
        writer.close()


def store_state(address):
    """All that a store says, but not when it was told."""
    writer = backend.open_writer(address)
    found = state_of(writer.store)
    writer.close()
    return found


def articles(address):
    """The PMIDs of an index with their titles."""
    reader = backend.open_reader(address)
    with reader.view() as view:
        found = {article.pmid: article.title for article in view.store.articles()}
    reader.close()
    return found


def start_process(folder, url, *, die_at=0):
    """Sync in another process, which kills itself before it writes for the `die_at`th time."""
    root = Path(search.__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{Path(__file__).parent}"}
    command = [sys.executable, str(Path(__file__)), str(folder), url, str(die_at)]
    return subprocess.Popen(command, env=environment, cwd=root)


def _main(name, url, die_at):
    address = name if name.startswith("postgresql:") else Path(name)
    writer = backend.open_writer(address)
    kind = type(writer.store)
    writer.close()
    left = int(die_at)
    apply = kind.apply

    def dying(self, plan, vectors=None):
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return apply(self, plan, vectors)

    kind.apply = dying
    ingest.BATCH = 4
    sync(address, url, TextEncoder())


if __name__ == "__main__":
    _main(*sys.argv[1:])
