"""The rows of articles: their columns, documents, words and terms, put in and taken out in bulk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, Protocol

from search.article import Article
from search.storage.article_tokens import tokens_of
from search.storage.bm25 import lexical_text, words
from search.storage.plan import Held, Plan
from search.storage.postgres.packing import pack_words, rounded_length
from search.storage.postgres.postgres_conditions import clean
from search.storage.postgres.postgres_tokens import pack_tokens
from search.storage.rows import ArticleRow, Term, unpack

__all__ = ["ArticleTables"]

#: Numbers of terms that are kept in memory.
_TERMS_KNOWN = 200_000

_COLUMNS = {
    "pmid": "int8", "change": "int8", "version": "int4", "revised": "int4", "sequence": "int4", "added": "int4",
    "added_change": "int8", "date_first": "int4", "date_last": "int4", "journal": "int4", "has_abstract": "bool",
    "free_full_text": "bool", "retracted": "bool", "stale": "bool", "text_hash": "bytea", "record_hash": "bytea",
    "terms": "int4[]", "major": "int4[]",
}  # fmt: skip
_WORD_COLUMNS = {"pmid": "int8", "change": "int8", "tokens": "int4", "length": "int4", "words": "bytea"}


class Writes(Protocol):
    """What is needed of a writer; all of it within a transaction."""

    def query(self, sql: str, parameters: Sequence[object] = ()) -> list[Any]:
        """Return the rows of a query."""
        ...

    def copy(self, table: str, columns: Mapping[str, str], rows: Iterable[Sequence[object]]) -> None:
        """Add rows to a table."""
        ...

    def held(self, pmids: Iterable[int]) -> dict[int, Held]:
        """Return what is known of those of the articles that are there."""
        ...


class ArticleTables:
    """Puts articles in and takes them out; remembers the numbers of terms and journals that are committed."""

    def __init__(self, writer: Writes) -> None:
        self._writer = writer
        self._terms: dict[Term, int] = {}
        self._journals: dict[str, int] = {}

    def forget(self) -> None:
        """Forget what may not have been committed."""
        self._terms.clear()
        self._journals.clear()

    def put(self, plan: Plan, change: int, waiting: set[int]) -> None:
        """Write the rows of a plan; those `waiting` for a vector are stale."""
        rows = list(plan.rows.values())
        today = int(datetime.now(timezone.utc).strftime("%Y%m%d"))
        first = {pmid: (held.added, held.added_change) for pmid, held in self._writer.held(plan.rows).items()}
        added = {row.pmid: first.get(row.pmid, (today, change)) for row in rows}
        self.put_rows(rows, change, added, dict.fromkeys(plan.rows, plan.sequence), waiting)
        query = self._writer.query
        query("DELETE FROM tombstones WHERE pmid = ANY(%s)", [list(plan.rows)])
        query("UPDATE articles SET sequence = %s WHERE pmid = ANY(%s)", [plan.sequence, list(plan.confirmed)])
        query("DELETE FROM part_articles WHERE pmid = ANY(%s)", [list(plan.by_hand)])
        query(
            "INSERT INTO part_articles SELECT unnest(%s::bigint[]) ON CONFLICT DO NOTHING",
            [list(plan.joined & plan.rows.keys())],
        )
        query(
            "INSERT INTO seen_later SELECT * FROM unnest(%s::bigint[], %s::integer[]) ON CONFLICT (pmid) DO UPDATE SET "
            "sequence = greatest(seen_later.sequence, excluded.sequence)",
            [list(plan.seen_later), list(plan.seen_later.values())],
        )

    def put_rows(
        self,
        rows: Sequence[ArticleRow],
        change: int,
        added: Mapping[int, tuple[int, int]],
        sequences: Mapping[int, int],
        waiting: set[int],
    ) -> None:
        """Write articles in place of those of their PMIDs; `added` gives the day and the change of their first time."""
        pmids = [row.pmid for row in rows]
        for table in ("articles", "documents", "words", "tokens"):
            self._writer.query(f"DELETE FROM {table} WHERE pmid = ANY(%s)", [pmids])
        journals, terms = self._journal_ids(rows), self._term_ids(rows)
        self._writer.copy(
            "articles",
            _COLUMNS,
            (
                (
                    row.pmid, change, row.version, row.revised, sequences[row.pmid], *added[row.pmid], row.date_first,
                    row.date_last, journals.get(row.journal or "", 0), row.has_abstract, row.free_full_text,
                    row.retracted, row.pmid in waiting, row.text_hash, row.record_hash,
                    sorted({terms[term] for term, _ in row.terms}),
                    sorted({terms[term] for term, major in row.terms if major}),
                )
                for row in rows
            ),
        )  # fmt: skip
        columns = {"pmid": "int8", "document": "bytea"}
        self._writer.copy("documents", columns, ((row.pmid, row.document) for row in rows))
        articles = [unpack(row.document) for row in rows]
        self._writer.copy("words", _WORD_COLUMNS, (_words(article, change) for article in articles))
        tokens = ((article.pmid, pack_tokens(tokens_of(article))) for article in articles)
        self._writer.copy("tokens", {"pmid": "int8", "tokens": "bytea"}, tokens)

    def remove(self, pmids: list[int], change: int, sequence: int) -> None:
        """Delete articles with a tombstone each."""
        if not pmids:
            return
        for table in ("articles", "documents", "words", "tokens", "vectors", "part_articles", "seen_later"):
            self._writer.query(f"DELETE FROM {table} WHERE pmid = ANY(%s)", [pmids])
        # A deletion by hand (0) stays one by hand; of NLM's files the last counts.
        self._writer.query(
            "INSERT INTO tombstones SELECT unnest(%s::bigint[]), %s, %s ON CONFLICT (pmid) DO UPDATE SET "
            "change = excluded.change, sequence = CASE WHEN tombstones.sequence = 0 THEN 0 "
            "ELSE greatest(tombstones.sequence, excluded.sequence) END",
            [pmids, change, sequence],
        )

    def _term_ids(self, rows: Iterable[ArticleRow]) -> dict[Term, int]:
        """Return the numbers of terms, which never change once they are committed, from memory where known."""
        if len(self._terms) > _TERMS_KNOWN:
            self._terms.clear()
        new = sorted({term for row in rows for term, _ in row.terms} - self._terms.keys(), key=_key)
        if new:
            columns = list(map(list, zip(*map(_key, new), strict=True)))
            wanted = "unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[])"
            names = "kind, name, ui, parent_name, parent_ui"
            self._writer.query(f"INSERT INTO terms ({names}) SELECT * FROM {wanted} ON CONFLICT DO NOTHING", columns)
            found = self._writer.query(
                f"SELECT w.number, t.id FROM {wanted} WITH ORDINALITY AS w ({names}, number) JOIN terms AS t "
                f"USING ({names})",
                columns,
            )
            self._terms.update({new[number - 1]: id for number, id in found})
        return self._terms

    def _journal_ids(self, rows: Iterable[ArticleRow]) -> dict[str, int]:
        """Return the numbers of journals, each known by all its keys."""
        for keys in sorted({row.journal for row in rows if row.journal} - self._journals.keys()):
            stored = clean(keys)
            added = self._writer.query(
                "INSERT INTO journals (keys) VALUES (%s) ON CONFLICT DO NOTHING RETURNING id", [stored]
            )
            if added:
                self._writer.query(
                    "INSERT INTO journal_keys SELECT unnest(%s::text[]), %s", [stored.split("\n"), added[0][0]]
                )
            row = added or self._writer.query("SELECT id FROM journals WHERE md5(keys) = md5(%s)", [stored])
            self._journals[keys] = int(row[0][0])
        return self._journals


def _words(article: Article, change: int) -> tuple[int, int, int, int, bytes]:
    counts = Counter(words(lexical_text(article)))
    length = counts.total()
    return article.pmid, change, length, rounded_length(length), pack_words(counts)


def _key(term: Term) -> tuple[str, ...]:
    return tuple(map(clean, (term.kind, term.name, term.ui, term.parent_name, term.parent_ui)))
