"""BM25 for every part that scores words: which words a text has, and what they are worth.

tantivy computes its own BM25 over these words. What is not in a tantivy index (unmerged articles, PostgreSQL, the
documents of a training run) is scored with the formula of this module, which gives the same.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

from search.article import Article

__all__ = ["K1", "MOST_WORDS", "B", "analyzer", "idf", "length_norm", "lexical_text", "matched_words", "words"]

#: tantivy's constants: how soon more of a word counts no more, and how much the length of a text matters.
K1, B = 1.2, 0.75

#: Words of a question beyond these are left out; a pasted text may have thousands.
MOST_WORDS = 512


def lexical_text(article: Article) -> str:
    """Return the text of an article that words are looked up in."""
    parts = [article.title, article.abstract_text]
    parts += [heading.descriptor for heading in article.mesh_headings]
    parts += [keyword.text for keyword in article.keywords]
    return " ".join(part for part in parts if part)


@cache
def analyzer() -> Any:
    """Return the tantivy analyser that `words` uses, and with which a tantivy index is made."""
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
    indexed: list[str] = analyzer().analyze(text)
    return indexed


def matched_words(question: str, article: Article) -> list[str]:
    """Return the words of a question, as they are indexed, that an article has too, in the order of the question."""
    held = set(words(lexical_text(article)))
    return [word for word in dict.fromkeys(words(question)) if word in held]


def idf(documents: int, holding: int) -> float:
    """Return the inverse document frequency of a word that `holding` of so many documents hold.

    A word that is `n` times in a document adds `idf * n * (K1 + 1) / (n + length_norm(...))` to its score.
    """
    return math.log(1 + (documents - holding + 0.5) / (holding + 0.5))


def length_norm(length: float, mean: float) -> float:
    """Return what a document's length in words, against the mean length, adds to the number of times of a word."""
    return K1 * (1 - B + B * length / max(mean, 1e-9))
