"""tantivy: BM25 over the text, the title and the MeSH headings of articles, with English stemming.

A generation is a folder that is never changed once the manifest names it. The next one begins with hard links to its
segments, which tantivy never writes again, so a merge costs what has changed and not what is there.
"""

from __future__ import annotations

import math
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from search.article import Article
from search.errors import IndexCorruptError, IndexFolderError
from search.files import link_or_copy
from search.storage.bm25 import FIELDS, K1, Terms, analyzer, field_texts, field_words, idf, length_norm
from search.storage.folder.tantivy_tokens import (
    TantivyTokens,
    add_token_fields,
    add_tokens,
    fill_tokens,
    register_tokens,
)
from search.storage.members import are_among
from search.storage.rows import Pmids, Vectors

__all__ = ["LexicalIndex", "LexicalWriter", "UnmergedLexical", "tokens_of_unmerged", "unmerged_tokens"]

_HEAP_BYTES = 64_000_000

#: Up to so many PMIDs a filter is handed to tantivy; above, results are filtered as they come.
_TERM_SET_LIMIT = 20_000

#: So many more are taken than needed: the order among equal scores is by PMID.
_TIES = 16


@cache
def _schema() -> Any:
    import tantivy

    builder = tantivy.SchemaBuilder()
    # Not an unsigned field: tantivy-py 0.27 does not find its terms when it deletes by them.
    builder.add_integer_field("pmid", indexed=True, fast=True)
    for field in FIELDS:
        builder.add_text_field(field, tokenizer_name="medical", index_option="freq")
    add_token_fields(builder)
    return builder.build()


def _open(folder: Path | None) -> Any:
    import tantivy

    index = tantivy.Index(_schema(), path=str(folder)) if folder else tantivy.Index(_schema())
    index.register_tokenizer("medical", analyzer())
    register_tokens(index)
    return index


def _links_to(folder: Path) -> tempfile.TemporaryDirectory[str]:
    """Return a temporary folder with links to the files of another, for tantivy takes a lock where it reads."""
    # Where an open file cannot be removed, the system removes it with its other temporary files.
    links = tempfile.TemporaryDirectory(prefix="search-", ignore_cleanup_errors=True)
    for path in folder.iterdir():
        if path.suffix != ".lock":
            link_or_copy(path, Path(links.name) / path.name, symbolic=True)
    return links


class LexicalIndex:
    """One generation, open for searching."""

    def __init__(self, folder: Path) -> None:
        if not (folder / "meta.json").exists():
            raise IndexCorruptError(f"{folder} is missing or incomplete; `search repair` rebuilds it")
        self._folder = folder
        for path in folder.iterdir():
            if path.suffix != ".lock" and not os.access(path, os.R_OK):
                raise IndexFolderError(f"{path}: permission denied; its owner can let others read it")
        readable = nullcontext(folder) if os.access(folder, os.W_OK) else _links_to(folder)
        with self._reporting_damage(), readable as opened:
            self._index = _open(Path(opened))
            # A generation never changes: nothing has to watch its files, or lock them to read them again.
            self._index.config_reader("manual")
            # This opens every file of the generation, so the links are not needed after it.
            self._searcher = self._index.searcher()

    @contextmanager
    def _reporting_damage(self) -> Iterator[None]:
        """Raise IndexCorruptError for what tantivy cannot read: it raises or panics, which is no Exception."""
        try:
            yield
        except BaseException as error:
            if isinstance(error, ValueError | OSError) or type(error).__name__ == "PanicException":
                raise IndexCorruptError(
                    f"{self._folder}: tantivy cannot read it ({error}); `search repair` rebuilds it"
                ) from error
            raise

    @property
    def count(self) -> int:
        """How many articles it holds."""
        with self._reporting_damage():
            return int(self._searcher.num_docs)

    def search(
        self, terms: Terms, limit: int, *, allowed: Pmids | None = None, excluded: Pmids | None = None
    ) -> tuple[Pmids, Vectors]:
        """Return the PMIDs with the highest BM25 for some terms and these scores, (n,) each, best first.

        `allowed` (sorted) restricts the search to some PMIDs, `excluded` (sorted) leaves some out. Equal scores are in
        order of PMID, the newest first.
        """
        query = _query(terms)
        if query is None or not self.count:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        if allowed is not None and len(allowed) <= _TERM_SET_LIMIT:
            query = _restricted(query, allowed)
            pmids, scores = self._top(query, len(allowed))
        else:
            pmids, scores = self._until(query, limit, allowed, excluded)
        keep = _kept(pmids, allowed, excluded)
        pmids, scores = pmids[keep], scores[keep]
        best = np.lexsort((-pmids, -scores))[:limit]
        return pmids[best], scores[best]

    def scores(self, terms: Terms, pmids: Pmids) -> dict[int, float]:
        """Return the BM25 of some articles; articles with none of the terms are left out."""
        query = _query(terms)
        if query is None or not len(pmids):
            return {}
        found, scores = self._top(_restricted(query, pmids), len(pmids))
        return dict(zip(found.tolist(), scores.tolist(), strict=True))

    def tokens(self, outdated: Pmids, unmerged: Any) -> TantivyTokens:
        """Return the tokens of its articles but the outdated, and of those in an index in memory."""
        nothing: Pmids = np.empty(0, np.int64)
        return TantivyTokens(_schema(), [(self._index, outdated), (unmerged, nothing)], self._reporting_damage)

    def holding(self, terms: Iterable[tuple[str, str]]) -> dict[tuple[str, str], int]:
        """Return how many articles have each term; changed ones are counted until tantivy merges its segments."""
        with self._reporting_damage():
            return {(field, word): int(self._searcher.doc_freq(field, word)) for field, word in terms}

    def _until(self, query: Any, limit: int, allowed: Pmids | None, excluded: Pmids | None) -> tuple[Pmids, Vectors]:
        """Take more and more until enough of them may be shown, or there are no more."""
        share = len(allowed) / max(self.count, 1) if allowed is not None else 1.0
        depth = math.ceil((limit + _TIES) / min(max(share, 1e-6), 1.0)) + _TIES
        while True:
            depth = min(depth, self.count)
            pmids, scores = self._top(query, depth)
            if len(pmids) < depth or depth == self.count or _kept(pmids, allowed, excluded).sum() >= limit + _TIES:
                return pmids, scores
            depth *= 4

    def _top(self, query: Any, limit: int) -> tuple[Pmids, Vectors]:
        with self._reporting_damage():
            hits = self._searcher.search(query, limit=max(limit, 1), count=False).hits
            addresses = [address for _, address in hits]
            values = self._searcher.fast_field_values("pmid", addresses) if hits else []
        pmids = np.array(values, np.int64)
        return pmids, np.array([score for score, _ in hits], np.float32)


def _query(terms: Terms) -> Any:
    """Return tantivy's query for any of some terms; None for none. No syntax has a meaning in a word."""
    import tantivy

    if not terms:
        return None
    clauses = []
    for (field, word), weight in terms.items():
        query = tantivy.Query.term_query(_schema(), field, word, index_option="freq")
        clauses.append((tantivy.Occur.Should, query if weight == 1 else tantivy.Query.boost_query(query, weight)))
    return tantivy.Query.boolean_query(clauses)


def _restricted(query: Any, pmids: Pmids) -> Any:
    import tantivy

    only = tantivy.Query.term_set_query(_schema(), "pmid", pmids.tolist())
    return tantivy.Query.boolean_query(
        [(tantivy.Occur.Must, query), (tantivy.Occur.Must, tantivy.Query.const_score_query(only, 0.0))]
    )


def _kept(pmids: Pmids, allowed: Pmids | None, excluded: Pmids | None) -> Any:
    keep = np.ones(len(pmids), bool)
    if allowed is not None:
        keep &= are_among(pmids, allowed)
    if excluded is not None:
        keep &= ~are_among(pmids, excluded)
    return keep


class UnmergedLexical:
    """BM25 over articles that are not in a generation yet, with the generation's word frequencies."""

    def __init__(self, articles: Iterable[Article], base: LexicalIndex | None) -> None:
        self._base = base
        self._counts = {article.pmid: field_words(article) for article in articles}
        self._lengths = {
            pmid: {field: sum(counts.values()) for field, counts in fields.items()}
            for pmid, fields in self._counts.items()
        }
        self._means = {
            field: sum(lengths[field] for lengths in self._lengths.values()) / max(len(self._lengths), 1)
            for field in FIELDS
        }
        self._holding = Counter(
            (field, word) for fields in self._counts.values() for field, counts in fields.items() for word in counts
        )

    def scores(self, terms: Terms, allowed: Pmids | None = None) -> dict[int, float]:
        """Return the BM25 of each unmerged article that has one of the terms."""
        if not self._counts:
            return {}
        weights = self.idf(terms)
        keep = None if allowed is None else set(allowed.tolist())
        scored = {}
        for pmid, fields in self._counts.items():
            if keep is not None and pmid not in keep:
                continue
            lengths = self._lengths[pmid]
            norms = {field: length_norm(lengths[field], self._means[field]) for field in fields}
            score = sum(
                weight * weights[field, word] * fields[field][word] * (1 + K1) / (fields[field][word] + norms[field])
                for (field, word), weight in terms.items()
                if word in fields[field]
            )
            if score > 0:
                scored[pmid] = score
        return scored

    def idf(self, terms: Iterable[tuple[str, str]]) -> dict[tuple[str, str], float]:
        """Return the inverse document frequency of terms in the whole index; 0 for one that no article has."""
        total, holding = len(self._counts), dict[tuple[str, str], int](self._holding)
        if self._base is not None and self._base.count > total:
            terms = list(terms)
            # What only unmerged articles have is weighed by how many of them have it.
            holding = {term: number or holding.get(term, 0) for term, number in self._base.holding(terms).items()}
            total += self._base.count
        # Deleted articles are counted until tantivy merges, so there may be more of them than articles.
        return {term: idf(total, min(number, total)) if (number := holding.get(term, 0)) else 0.0 for term in terms}


def unmerged_tokens(articles: Iterable[Article]) -> Any:
    """Return an index in memory with the tokens of articles that no generation holds."""
    index = _open(None)
    fill_tokens(index, articles)
    return index


def tokens_of_unmerged(unmerged: Any) -> TantivyTokens:
    """Return the tokens of an index in memory alone."""
    return TantivyTokens(_schema(), [(unmerged, np.empty(0, np.int64))])


class LexicalWriter:
    """Makes the next generation: the one before it, less what has changed, and what has changed."""

    def __init__(self, folder: Path, base: Path | None) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        if base is not None:
            for path in base.iterdir():
                if path.suffix == ".lock":
                    continue
                # What tantivy replaces (by renaming) is copied, what it never writes again is linked.
                if path.suffix == ".json":
                    shutil.copyfile(path, folder / path.name)
                else:
                    link_or_copy(path, folder / path.name)
        self._folder = folder
        self._index = _open(folder)
        self._writer = self._index.writer(heap_size=_HEAP_BYTES, num_threads=1)

    def remove(self, pmids: Iterable[int]) -> None:
        """Remove articles that are there; the others are passed over."""
        for pmid in pmids:
            self._writer.delete_documents_by_term("pmid", pmid)

    def add(self, articles: Iterable[Article]) -> None:
        """Add articles that are not there."""
        import tantivy

        for article in articles:
            document = tantivy.Document()
            document.add_integer("pmid", article.pmid)
            for field, text in field_texts(article).items():
                document.add_text(field, text)
            add_tokens(document, article)
            self._writer.add_document(document)

    def stop(self) -> None:
        """Give up: end tantivy's threads, which could else write into the folder while it is removed."""
        with suppress(Exception):  # what has failed before may fail again
            self._writer.wait_merging_threads()

    def finish(self) -> int:
        """Commit, wait for tantivy's own merging, make it durable, and return how many articles there are."""
        self._writer.commit()
        self._writer.wait_merging_threads()
        self._index.reload()
        # tantivy lets nobody else read some of them.
        readable = self._folder.stat().st_mode & 0o666
        for path in self._folder.iterdir():
            path.chmod(readable)
            with path.open("rb") as stream:
                os.fsync(stream.fileno())
        return int(self._index.searcher().num_docs)
