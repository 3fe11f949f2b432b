"""A hit: an article in a result list, with its rank, its scores and what is shown with it."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import msgspec

from search.article import Article
from search.errors import ConfigError
from search.formats import csv
from search.retrieval.evidence import EvidenceSentence
from search.retrieval.expansion import Change

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["Duplicate", "Hit", "Hits"]


class Duplicate(msgspec.Struct, frozen=True):
    """An article that was folded into a hit, and why: `same DOI` or `same title and year`."""

    pmid: int
    reason: str


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """An article that answers a question, its rank from 1 and its score.

    The score is the cosine in [-1, 1] (semantic), the BM25 (lexical), the fused score (hybrid), or the score of the
    cross-encoder where the configuration has `rerank`. `cosine`, `bm25` and the ranks in each list say where it came
    from; None where the article was not in that list. `evidence` holds the sentences nearest to the question if they
    were requested, `duplicates` the articles that were folded into this hit. `estimated`: the article is not
    encoded, and its score is made of an estimate of its cosine.

    Where feedback has moved the question, `cosine` is with the moved one, `asked_cosine` with the question as it was
    asked, and `added_words` are what its first answers added to its words, as they are indexed. `changes` are what the
    question was searched by instead of what was typed. `near_enough` is False if the article is probably not about the
    question (`search.retrieval.floor`).

    `cited_by` is how many works cite the article, as far as the index knows; None if it knows no citations at all.
    `links` is how many articles of a set it cites or is cited by, where citations of a set were followed.
    """

    rank: int
    score: float
    article: Article
    cosine: float | None = None
    bm25: float | None = None
    semantic_rank: int | None = None
    lexical_rank: int | None = None
    asked_cosine: float | None = None
    added_words: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    near_enough: bool = True
    estimated: bool = False
    evidence: tuple[EvidenceSentence, ...] = ()
    duplicates: tuple[Duplicate, ...] = ()
    cited_by: int | None = None
    links: int | None = None

    @property
    def pmid(self) -> int:
        """The article's PMID."""
        return self.article.pmid

    def __repr__(self) -> str:
        """Return rank, score, PMID and title on one line."""
        title = self.article.title if len(self.article.title) <= 70 else f"{self.article.title[:67]}..."
        return f"<Hit {self.rank}: {self.score:.3f}, PMID {self.pmid}, {title!r}>"

    def _repr_html_(self) -> str:
        """Return the hit as a notebook shows it: title with link, source, evidence."""
        article = self.article
        source = " \u00b7 ".join(
            escape(part)
            for part in (article.journal_abbreviation, str(article.year or ""), f"PMID {self.pmid}")
            if part
        )
        retracted = '<b style="color: #b00">RETRACTED</b> ' if article.is_retracted else ""
        quotes = "".join(f"<br><q>{escape(sentence.text)}</q>" for sentence in self.evidence)
        link = f'<a href="{escape(article.url)}">{escape(article.title or "(no title)")}</a>'
        return f"<p>{self.rank}. {retracted}{link}<br><small>{source} \u00b7 {self.score:.3f}</small>{quotes}</p>"

    def to_dict(self) -> dict[str, Any]:
        """Return the hit as plain dicts, lists, strings and numbers; `article` has every field of the record."""
        result: dict[str, Any] = msgspec.to_builtins(self)
        return result


class Hits(list[Hit]):
    """The hits of a search: a list that a notebook shows with titles and links, and that makes a table."""

    def to_pandas(self) -> DataFrame:
        """Return a pandas DataFrame with one row a hit, in order.

        The columns are `rank` (int), `score` (float), those of CSV (`pmid` int, `year` nullable int, `retracted` bool,
        the others texts; several values are joined by `; `) and `evidence`, the sentences that the search gave.
        Raises ConfigError if pandas is not installed.
        """
        try:
            import pandas
        except ModuleNotFoundError as error:
            raise ConfigError("to_pandas() needs pandas: pip install pandas") from error
        columns = ("rank", "score", *csv.COLUMNS, "evidence")
        frame = pandas.DataFrame([_cells(hit) for hit in self], columns=columns)
        return frame.astype({"rank": int, "score": float, "pmid": int, "year": "Int64", "retracted": bool})

    def _repr_html_(self) -> str:
        """Return the hits as a notebook shows them, one below the other."""
        return "".join(hit._repr_html_() for hit in self) or "<p>nothing found</p>"


def _cells(hit: Hit) -> dict[str, Any]:
    article = hit.article
    return {
        **csv.texts(article),
        "rank": hit.rank,
        "score": hit.score,
        "pmid": article.pmid,
        "year": article.year,
        "retracted": article.is_retracted,
        "evidence": " ".join(sentence.text for sentence in hit.evidence),
    }
