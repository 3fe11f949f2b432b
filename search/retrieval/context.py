"""What a language model is given to answer from: the sentences that say what was found, with their sources."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import msgspec

from search.presentation.citation import citation
from search.presentation.notices import notice_labels
from search.retrieval.evidence import EvidenceSentence
from search.retrieval.hit import Hit

__all__ = ["Context", "Retracted", "Source", "context_of", "tokens_of"]

#: What is done with retracted articles: they are marked, or left out.
Retracted = Literal["mark", "leave out"]

#: English takes about 4 characters a token with the tokenizers of language models; medical terms take more tokens.
_CHARACTERS_PER_TOKEN = 3.5


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """An article that a context quotes: its number there, how to cite it, what must be known of it, its sentences."""

    number: int
    pmid: int
    score: float
    citation: str
    url: str
    retracted: bool
    warnings: tuple[str, ...]
    sentences: tuple[EvidenceSentence, ...]


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """Passages that answer a question: as one text for a prompt, and by source; `tokens` is an estimate."""

    question: str
    text: str
    tokens: int
    sources: tuple[Source, ...]


def tokens_of(text: str) -> int:
    """Return about how many tokens a text has, rather too many than too few."""
    return math.ceil(len(text) / _CHARACTERS_PER_TOKEN)


def context_of(question: str, hits: Sequence[Hit], tokens: int, *, retracted: Retracted = "mark") -> Context:
    """Return the sentences of evidence of hits within a budget of tokens, as many sources in order of rank as fit.

    Of an article that does not fit with all its sentences, the best are taken; one whose best sentence does
    not fit is left out, and so are those without an abstract. Sentences are in the order of the abstract.
    """
    sources: list[Source] = []
    passages: list[str] = []
    spent = 0
    for hit in hits:
        if (retracted == "leave out" and hit.article.is_retracted) or not hit.evidence:
            continue
        for count in range(len(hit.evidence), 0, -1):
            source = _source(len(sources) + 1, hit, hit.evidence[:count])
            passage = _passage(source)
            cost = tokens_of(f"{passage}\n\n")
            if spent + cost <= tokens:
                sources.append(source)
                passages.append(passage)
                spent += cost
                break
    return Context(question=question, text="\n\n".join(passages), tokens=spent, sources=tuple(sources))


def _source(number: int, hit: Hit, evidence: Sequence[EvidenceSentence]) -> Source:
    return Source(
        number=number,
        pmid=hit.pmid,
        score=round(hit.score, 6),
        citation=citation(hit.article),
        url=hit.article.url,
        retracted=hit.article.is_retracted,
        warnings=tuple(notice_labels(hit.article)),
        sentences=tuple(sorted(evidence, key=lambda part: part.start)),
    )


def _passage(source: Source) -> str:
    quoted = " ... ".join(f"{part.section}: {part.text}" for part in source.sentences)
    return f"[{source.number}] {source.citation}\n{quoted}"
