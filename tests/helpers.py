"""What tests make their input with."""

import hashlib
from datetime import date

import numpy as np
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import WhitespaceSplit

from search.article import TEXT_RULE, AbstractSection, Article
from search.models.static_vectors import TokenIds
from search.storage import backend
from search.storage.folder.sqlite_reader import StoreReader
from search.storage.folder.sqlite_writer import StoreWriter
from search.storage.manifest import Manifest
from search.storage.rows import prepare


class WordEncoder:
    """Texts that share words are near each other: each word is a fixed random vector, a text their sum."""

    name = "words"
    settings = None
    notes = ()
    dimension = 32
    fingerprint = "words"
    tokens = None

    def __init__(self):
        self.encoded = []

    def encode(self, texts, kind="document"):
        self.encoded.extend(texts)
        rows = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.lower().split():
                seed = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "big")
                row += np.random.default_rng(seed).standard_normal(self.dimension).astype(np.float32)
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def tokens_of(words):
    """What finds the tokens of texts that are words between blanks."""
    made = Tokenizer(WordLevel({word: number for number, word in enumerate(["[UNK]", *words])}, unk_token="[UNK]"))
    made.normalizer, made.pre_tokenizer = Lowercase(), WhitespaceSplit()
    return TokenIds(made.to_str(), 100)


class Disturbed:
    """An encoder at whose nth call something happens."""

    def __init__(self, encoder, at, event):
        self.encoder, self.at, self.event, self.calls = encoder, at, event, 0

    def encode(self, texts, kind="document"):
        self.calls += 1
        if self.calls == self.at:
            self.event()
        return self.encoder.encode(texts, kind)


def article(pmid, title="", abstract="", *, revised=None, **fields):
    """An article in a word or two."""
    return Article(
        pmid=pmid,
        title=title or f"Title {pmid}",
        abstract=(AbstractSection(abstract),) if abstract else (),
        revised=date.fromisoformat(revised) if revised else None,
        **fields,
    )


def words_manifest(encoder, vectors="float16"):
    """What an index for the vectors of an encoder says of itself."""
    return Manifest(
        model="words", fingerprint="words", dimension=encoder.dimension, text_rule=TEXT_RULE, vectors=vectors
    )


def put(address, encoder, *articles, merge=False):
    """Commit articles with their vectors to an index."""
    writer = backend.open_writer(address)
    plan = writer.store.plan([prepare(item) for item in articles])
    writer.store.apply(plan, encoder.encode([row.text for row in plan.to_encode]))
    if merge:
        writer.merge()
    writer.close()


_COLUMNS = (
    "pmid, version, revised, sequence, date_first, date_last, electronic_first, electronic_last, has_abstract, "
    "free_full_text, retracted, sample_size, stale, "
    "text_hash, record_hash"
)
_TERMS = {
    "sqlite": "SELECT kind, name, ui, pmid, major FROM article_terms JOIN terms ON id = term ORDER BY 1, 2, 3, 4",
    "postgres": "SELECT kind, name, ui, pmid, id = ANY(major) FROM articles JOIN terms ON id = ANY(terms) "
    'ORDER BY kind COLLATE "C", name COLLATE "C", ui COLLATE "C", pmid',
}


def state(store):
    """All that a store says, but not when it was told: the same in either database."""
    kind = "sqlite" if isinstance(store, StoreReader) else "postgres"
    tables = {
        "articles": f"SELECT {_COLUMNS} FROM articles ORDER BY pmid",
        "documents": "SELECT * FROM documents ORDER BY pmid",
        "vector hashes": "SELECT pmid, text_hash FROM vectors ORDER BY pmid",
        "tombstones": "SELECT pmid, sequence FROM tombstones ORDER BY pmid",
        "terms": _TERMS[kind],
        "ledger": "SELECT name, md5, records, deletions, rejected FROM nlm_files ORDER BY sequence",
        "part": "SELECT pmid FROM part_articles ORDER BY pmid",
        "seen later": "SELECT pmid, sequence FROM seen_later ORDER BY pmid",
        "collection": "SELECT kind, run, first, edges FROM citation_blocks WHERE kind > 0 ORDER BY kind, run, id",
        "runs of it": "SELECT kind, run, edges FROM citation_runs WHERE kind > 0 ORDER BY kind, run",
        "retractions": "SELECT pmid, doi, nature, day, reasons, notice_pmid, notice_doi FROM retractions ORDER BY pmid",
    }
    found = {name: [tuple(row) for row in store.rows(sql)] for name, sql in tables.items()}
    pmids, vectors = store.vectors([pmid for pmid, _ in found["vector hashes"]])
    found["vectors"] = sorted(zip(pmids.tolist(), vectors.tolist(), strict=True))
    return found


def wipe(store):
    """Take everything out of a store but its settings."""
    tables = ["articles", "documents", "vectors", "tombstones", "seen_later", "journal_keys", "journals", "terms"]
    tables += ["citation_runs", "citation_blocks", "retractions"]
    if isinstance(store, StoreWriter):
        for table in ["article_terms", *tables]:
            store.connection.execute(f"DELETE FROM {table}")
        store._terms.clear()
        store._journals.clear()
    else:
        store.transact(lambda _: [store.query(f"DELETE FROM {table}") for table in [*tables, "words", "word_counts"]])
        store._forget_ids()
