"""From requests to hits: tags and filters, vectors, the search itself, and what is shown of it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby

import msgspec
import numpy as np

from search.article import embedding_text
from search.errors import QueryError
from search.retrieval.duplicates import fold as fold_articles
from search.retrieval.evidence import evidence_for_all
from search.retrieval.filter_sql import condition_of
from search.retrieval.filters import And, Filters, explode
from search.retrieval.mesh_tree import MeshTree
from search.retrieval.ranking import (
    Duplicate,
    Found,
    Hit,
    Mode,
    check_limit,
    check_question,
    find,
    hits_of,
)
from search.retrieval.tags import parse_question
from search.storage.backend import Selection, View
from search.storage.rows import Vectors

__all__ = ["RERANKED", "Engine", "Question", "folded", "read_question", "reranked", "with_evidence"]

#: So many hits of the first stage are put in order by the second, where there is one.
RERANKED = 100

#: Selections of filters that are remembered; a page asks again and again with the same.
_SELECTIONS_KEPT = 16

#: Some more are looked for than are shown, so that folding leaves as many as were asked for.
_DUPLICATES_EXPECTED = 10

_Encode = Callable[[Sequence[str]], Vectors]


class Question(msgspec.Struct, frozen=True):
    """A question as it is understood: its free text, and what articles must be to be in the answer."""

    text: str
    filters: Filters


def read_question(question: str, filters: Filters | None = None) -> Question:
    """Read the PubMed field tags of a question, and join them with the filters given beside it.

    Raises QueryError if the question is empty, or its tags do not parse.
    """
    text, expression = parse_question(check_question(question))
    given = filters or Filters()
    if expression is None:
        return Question(text, given)
    if given.expression is not None:
        expression = And((expression, given.expression))
    return Question(text.strip(), msgspec.structs.replace(given, expression=expression))


class Engine:
    """Answers requests on views of one index; remembers which articles pass the filters asked for last."""

    def __init__(self, mesh_tree: MeshTree | None = None) -> None:
        self._mesh_tree = mesh_tree
        self._selections: OrderedDict[tuple[Filters, int], Selection] = OrderedDict()

    def search(
        self,
        view: View,
        questions: Sequence[Question],
        encode: _Encode,
        limit: int,
        mode: Mode,
        *,
        fold: bool,
        among: Selection | None = None,
    ) -> list[list[Hit]]:
        """Return the hits of each question; all are encoded as one batch.

        A question of filters alone, without a word to search for, is answered with the newest articles that pass.
        `fold` shows articles that are one only once, with a note. `among` restricts the search further.
        """
        check_limit(limit)
        if fold:
            answers = self.search(view, questions, encode, limit + _DUPLICATES_EXPECTED, mode, fold=False, among=among)
            return [folded(hits)[:limit] for hits in answers]
        texts = [question.text for question in questions if question.text]
        vectors = encode(texts) if texts and mode != "lexical" else None
        found: list[Found] = []
        used = 0
        for filters, group in groupby(questions, key=lambda question: question.filters):
            allowed = _both(view, self.allowed(view, filters), among)
            for has_text, part in groupby(group, key=lambda question: bool(question.text)):
                some = [question.text for question in part]
                if not has_text:
                    found += [_newest(view, allowed, limit)] * len(some)
                    continue
                rows = vectors[used : used + len(some)] if vectors is not None else None
                used += len(some)
                found += find(view, some, rows, limit, mode=mode, allowed=allowed)
        return hits_of(view, found)

    def allowed(self, view: View, filters: Filters) -> Selection | None:
        """Return the articles that pass; None if all do."""
        if filters.is_empty:
            return None
        key = (filters, view.change)
        if key not in self._selections:
            if self._mesh_tree is not None:
                filters = explode(filters, self._mesh_tree.below)
            self._selections[key] = view.select(partial(condition_of, filters))
            while len(self._selections) > _SELECTIONS_KEPT:
                self._selections.popitem(last=False)
        self._selections.move_to_end(key)
        return self._selections[key]


def _both(view: View, one: Selection | None, other: Selection | None) -> Selection | None:
    if one is None or other is None:
        return other if one is None else one
    return view.both(one, other)


def folded(hits: list[Hit]) -> list[Hit]:
    """Return the hits with duplicates folded into the best-ranked of them, and ranks without gaps."""
    by_pmid = {hit.pmid: hit for hit in hits}
    return [
        msgspec.structs.replace(
            by_pmid[group.shown.pmid],
            rank=rank,
            duplicates=tuple(Duplicate(article.pmid, reason) for article, reason in group.folded),
        )
        for rank, group in enumerate(fold_articles(hit.article for hit in hits), start=1)
    ]


def reranked(hits: list[Hit], question: str, score: Callable[[str, list[str]], Vectors]) -> list[Hit]:
    """Return hits in the order of a second stage: `score` gives, for a question and texts, the higher the better.

    Hits that score the same keep their order; `Hit.score` becomes that score.
    """
    scores = score(question, [embedding_text(hit.article) for hit in hits])
    order = np.argsort(-scores, kind="stable")
    return [
        msgspec.structs.replace(hits[place], rank=rank, score=float(scores[place]))
        for rank, place in enumerate(order.tolist(), start=1)
    ]


def with_evidence(hits: list[list[Hit]], questions: Sequence[Question], encode: _Encode, n: int) -> list[list[Hit]]:
    """Return the hits with the `n` sentences of each abstract nearest to its question.

    A question of filters alone has no words that a sentence could be near to; its hits stay as they are.
    """
    vectors = encode([question.text for question in questions])
    answers = []
    for question, shown, vector in zip(questions, hits, vectors, strict=True):
        if not question.text:
            answers.append(shown)
            continue
        found = evidence_for_all([hit.article for hit in shown], vector, encode, n)
        answers.append(
            [
                msgspec.structs.replace(hit, evidence=tuple(sentences))
                for hit, sentences in zip(shown, found, strict=True)
            ]
        )
    return answers


def _newest(view: View, allowed: Selection | None, limit: int) -> Found:
    if allowed is None:
        raise QueryError("the question is empty: say in a few words or a sentence what you are looking for")
    pmids = view.newest(allowed, limit)
    return Found(pmids, np.zeros(len(pmids)).tolist())
