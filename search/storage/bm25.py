"""BM25 for every part that scores words: which words a text has, and what they are worth.

tantivy computes its own BM25 over these words. What is not in a tantivy index (unmerged articles, PostgreSQL, the
documents of a training run) is scored with the formula of this module, which gives the same.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeAlias

from search.article import Article
from search.characters import visible

__all__ = [
    "FIELDS",
    "K1",
    "MOST_WORDS",
    "B",
    "Terms",
    "analyzer",
    "field_texts",
    "field_words",
    "idf",
    "length_norm",
    "lexical_text",
    "matched_words",
    "question_terms",
    "question_words",
    "words",
]

#: The fields of an article, and what a word found in each counts: `text` holds the title too.
FIELDS = {"text": 1.0, "title": 0.2, "mesh": 0.3}

#: What is looked for: the weight of each word in each field, by (field, word as it is indexed).
Terms: TypeAlias = Mapping[tuple[str, str], float]

#: Words that only ask, and the small words that tantivy's list of stop words lacks. They are left out of questions.
_ASKING_TEXT = """
about above after again all am any are because been before being below between both can could did do does doing done
down during each few from further had has have having here how just may me might more most must my off once only other
our out over own same shall should so some such than that their them themselves then there these they this those
through to too under until up us very was we were what when where whether which while who whom whose why would you
your
"""
_ASKING = frozenset(_ASKING_TEXT.split())

#: tantivy's constants: how soon more of a word counts no more, and how much the length of a text matters.
K1, B = 1.2, 0.75

#: Words of a question beyond these are left out; a pasted text may have thousands.
MOST_WORDS = 512


def lexical_text(article: Article) -> str:
    """Return the text of an article that words are looked up in: title, abstract and keywords."""
    parts = [article.title, article.abstract_text, *(keyword.text for keyword in article.keywords)]
    return visible(" ".join(part for part in parts if part))


def field_texts(article: Article) -> dict[str, str]:
    """Return the text of each field of an article."""
    headings = " ".join(heading.descriptor for heading in article.mesh_headings)
    return {"text": lexical_text(article), "title": visible(article.title), "mesh": visible(headings)}


def field_words(article: Article) -> dict[str, Counter[str]]:
    """Return how often each word is in each field of an article."""
    return {field: Counter(words(text)) for field, text in field_texts(article).items()}


@cache
def analyzer() -> Any:
    """Return the tantivy analyser, for `words` and for a tantivy index."""
    import tantivy

    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    for step in (
        tantivy.Filter.remove_long(100),
        tantivy.Filter.ascii_fold(),
        tantivy.Filter.lowercase(),
        tantivy.Filter.stopword("english"),
        tantivy.Filter.stemmer("english"),
    ):
        builder = builder.filter(step)
    return builder.build()


def words(text: str) -> list[str]:
    """Return the words of a text as they are indexed: in lower case, without accents, stop words and endings."""
    indexed: list[str] = analyzer().analyze(visible(text))
    return indexed


def question_words(question: str) -> list[str]:
    """Return the words of a question as they are indexed, without those that only ask, at most MOST_WORDS of them.

    An abbreviation in capitals (WHO) is kept. If no other word remains, all are kept.

    >>> question_words("What does aspirin do to patients who have asthma?")
    ['aspirin', 'patient', 'asthma']
    """
    shouting = question.isupper()

    def asks(match: re.Match[str]) -> str:
        word = match.group()
        asking = word.lower() in _ASKING and (shouting or not word.isupper())
        return " " if asking else word

    return (words(re.sub(r"\w+", asks, question)) or words(question))[:MOST_WORDS]


def question_terms(question: str) -> Terms:
    """Return the terms of a question: each of its words, in each field."""
    counts = Counter(question_words(question))
    return {(field, word): weight * times for field, weight in FIELDS.items() for word, times in counts.items()}


def matched_words(question: str, article: Article) -> list[str]:
    """Return the words of a question, as they are indexed, that an article has too, in the order of the question."""
    held = set().union(*field_words(article).values())
    return [word for word in dict.fromkeys(question_words(question)) if word in held]


def idf(documents: int, holding: int) -> float:
    """Return the inverse document frequency of a word that `holding` of so many documents hold.

    A word that is `n` times in a document adds `idf * n * (K1 + 1) / (n + length_norm(...))` to its score.
    """
    return math.log(1 + (documents - holding + 0.5) / (holding + 0.5))


def length_norm(length: float, mean: float) -> float:
    """Return what a document's length in words, against the mean length, adds to the number of times of a word."""
    return K1 * (1 - B + B * length / max(mean, 1e-9))
