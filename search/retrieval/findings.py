"""What the articles that answer a question found: quotations with their sources, those that agree together.

No language model takes part: every word of an answer is a sentence of an article.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from search.presentation.citation import citation
from search.presentation.notices import notice_labels
from search.retrieval.evidence import EvidenceSentence
from search.retrieval.hit import Hit
from search.study import DESIGNS, Design, design_of, sample_size

__all__ = ["Finding", "Findings", "findings_of"]

Vectors = npt.NDArray[np.floating]

#: Findings whose cosine is at least this, and that point the same way, are shown together.
_ALIKE = 0.7
#: So many steps of a firmer design count as much as one place in the ranking: what answers the question comes first.
_STEPS = 3

_NEGATED = re.compile(r"\b(?:no|not|nor|neither|without|unrelated|failed?|lacks?|cannot|unlikely)\b", re.IGNORECASE)
_UP = re.compile(r"\b(?:increas|higher|greater|rais|elevat|more|wors|gain)", re.IGNORECASE)
_DOWN = re.compile(r"\b(?:decreas|lower|reduc|less|fewer|declin|prevent|protect|diminish)", re.IGNORECASE)


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A sentence of an article that says what was found, and its source; `number` is that of the source."""

    number: int
    pmid: int
    text: str
    section: str
    design: Design | None
    sample_size: int | None
    year: int | None
    retracted: bool
    warnings: tuple[str, ...]
    citation: str
    url: str


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """Findings about a question, in groups that agree in wording and direction; no groups if nothing is near enough."""

    question: str
    groups: tuple[tuple[Finding, ...], ...]


def findings_of(question: str, hits: Sequence[Hit], encode: Callable[[list[str]], Vectors]) -> Findings:
    """Return the findings of hits that were found with evidence; `encode` gives (texts, dimension) unit vectors.

    Only conclusions and results are findings. Groups, and findings within them, come by rank and by the firmness of
    their designs (`search.study.DESIGNS`): three steps of it outweigh one place; retracted articles come last.
    """
    chosen = [(hit, part) for hit in hits if (part := _finding_sentence(hit)) is not None]
    chosen.sort(key=lambda pair: (pair[0].article.is_retracted, pair[0].rank + _firmness(pair[0]) / _STEPS))
    if not chosen:
        return Findings(question=question, groups=())
    vectors = encode([part.text for _, part in chosen])
    groups: list[list[int]] = []
    for place, (hit, part) in enumerate(chosen):
        for group in groups:
            first_hit, first = chosen[group[0]]
            alike = float(vectors[group[0]] @ vectors[place]) >= _ALIKE and _direction(first.text) == _direction(
                part.text
            )
            if alike and first_hit.article.is_retracted == hit.article.is_retracted:
                group.append(place)
                break
        else:
            groups.append([place])
    numbers = {place: number for number, place in enumerate((place for group in groups for place in group), start=1)}
    return Findings(
        question=question,
        groups=tuple(tuple(_finding(numbers[place], *chosen[place]) for place in group) for group in groups),
    )


def _finding_sentence(hit: Hit) -> EvidenceSentence | None:
    return next((part for part in hit.evidence if part.role in ("conclusions", "results")), None)


def _firmness(hit: Hit) -> int:
    design = design_of(hit.article)
    return len(DESIGNS) if design is None else DESIGNS.index(design)


def _direction(text: str) -> tuple[bool, bool, bool]:
    """Return whether a sentence denies, and whether it speaks of more or of less: findings that differ in it differ."""
    return bool(_NEGATED.search(text)), bool(_UP.search(text)), bool(_DOWN.search(text))


def _finding(number: int, hit: Hit, part: EvidenceSentence) -> Finding:
    article = hit.article
    return Finding(
        number=number,
        pmid=hit.pmid,
        text=part.text,
        section=part.section,
        design=design_of(article),
        sample_size=sample_size(article),
        year=article.year,
        retracted=article.is_retracted,
        warnings=tuple(notice_labels(article)),
        citation=citation(article),
        url=article.url,
    )
