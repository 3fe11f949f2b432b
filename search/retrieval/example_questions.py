"""Questions to begin with: what articles of an index ask in their titles, so that it has answers to them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from search.article import Article
from search.normalize import clean

__all__ = ["example_questions"]

_MOST, _LENGTH = 4, 100

#: Titles that ask, and those of a small index that does not have enough of them.
_STRATEGIES = ("does[ti] OR do[ti] OR is[ti] OR are[ti] OR can[ti] OR should[ti]", "hasabstract")

#: Articles that are looked at, of the highest PMIDs: the newest.
_LOOKED_AT = 300

_QUESTION = re.compile(r"(?:Does|Do|Is|Are|Can|Should|What|Which|How|When|Why)\b[^:\u2013\u2014]*\?")


def example_questions(
    selected: Callable[[str], Sequence[int]], articles_of: Callable[[Sequence[int]], Iterable[Article]]
) -> list[str]:
    """Return up to four titles: questions first, then titles that end in one, then any.

    `selected` gives the PMIDs that a strategy selects, ascending; `articles_of` the articles of some PMIDs.
    """
    found: list[str] = []
    for strategy in _STRATEGIES:
        articles = [article for article in articles_of(selected(strategy)[-_LOOKED_AT:]) if _is_typical(article)]
        titles = sorted(
            {clean(article.title) for article in articles} - set(found), key=lambda title: (_kind(title), title)
        )
        for kind in (0, 1, 2):
            found += _spread([title for title in titles if _kind(title) == kind], _MOST - len(found))
        if len(found) >= _MOST:
            break
    return found


def _is_typical(article: Article) -> bool:
    return (
        25 <= len(article.title) <= _LENGTH
        and article.title[:1] != "["
        and not article.title.isupper()
        and not article.is_retracted
        and not article.notices
        and bool(article.abstract_text)
        and (not article.languages or "eng" in article.languages)
    )


def _kind(title: str) -> int:
    return 0 if _QUESTION.fullmatch(title) else 1 if title.endswith("?") else 2


def _spread(titles: list[str], count: int) -> list[str]:
    """Return `count` of the titles, from all parts of the list."""
    if count <= 0 or len(titles) <= count:
        return titles[: max(0, count)]
    return [titles[(place * len(titles)) // count] for place in range(count)]
