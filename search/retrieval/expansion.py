"""What a question is understood as: misspelled words corrected, acronyms and everyday names by their medical names.

Whatever is added or changed is noted (`Change`), shown above the results, and switched off by `exact`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

import msgspec

from search.normalize import folded_words
from search.retrieval.acronyms import acronyms_in, senses_of
from search.retrieval.mesh_tree import MeshTree
from search.retrieval.spelling import corrections
from search.storage.backend import View
from search.storage.bm25 import FIELDS, Terms, question_words, words

__all__ = ["Change", "Expansion", "Understanding", "expand"]

#: What the words of a name count that another name stands for, and those of a heading that a synonym is known by.
_TYPED, _HEADING = 0.1, 0.5
#: The long form of an acronym takes its place where fewer other words are asked; else its words count so much.
_OTHERS, _LONG_FORM = 3, 0.1
#: Words of the longest entry term that is looked for.
_LONGEST = 6

#: Names of everyday language whose medical name shares no word with them.
_EVERYDAY = {
    "heart attack": "myocardial infarction",
    "heart attacks": "myocardial infarction",
    "hardening of the arteries": "atherosclerosis",
    "mini stroke": "transient ischemic attack",
    "blood thinner": "anticoagulant",
    "blood thinners": "anticoagulants",
    "water pills": "diuretics",
    "sugar diabetes": "diabetes mellitus",
    "chicken pox": "varicella",
    "chickenpox": "varicella",
    "shingles": "herpes zoster",
    "german measles": "rubella",
    "whooping cough": "pertussis",
    "lockjaw": "tetanus",
    "cold sores": "herpes labialis",
    "athletes foot": "tinea pedis",
    "athlete's foot": "tinea pedis",
    "pink eye": "conjunctivitis",
    "lazy eye": "amblyopia",
    "ringing in the ears": "tinnitus",
    "nosebleed": "epistaxis",
    "nosebleeds": "epistaxis",
    "bed wetting": "nocturnal enuresis",
    "bedwetting": "nocturnal enuresis",
    "shortness of breath": "dyspnea",
    "kidney stones": "nephrolithiasis",
    "gallstones": "cholelithiasis",
    "lou gehrig's disease": "amyotrophic lateral sclerosis",
    "mad cow disease": "bovine spongiform encephalopathy",
    "clubfoot": "talipes equinovarus",
    "cot death": "sudden infant death syndrome",
    "crib death": "sudden infant death syndrome",
}
_EVERYDAY_NAME = re.compile(
    rf"(?<![\w-])(?:{'|'.join(map(re.escape, sorted(_EVERYDAY, key=len, reverse=True)))})(?![\w-])", re.IGNORECASE
)


class Change(msgspec.Struct, frozen=True):
    """What was searched for something that was typed; `others` are further senses of an acronym, with their counts.

    A `heading` is looked for by words beside what was typed; the other kinds take the place of it.
    """

    kind: Literal["spelling", "acronym", "name", "heading"]
    typed: str
    searched: str
    others: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return it as it is shown: `myocardial infarction (for MI)`."""
        others = f", not {' or '.join(self.others)}" if self.others else ""
        return f"{self.searched} (for {self.typed}{others})"


class Understanding(msgspec.Struct, frozen=True):
    """A question as it was typed and as it is searched, what was changed, and how many articles pass its filters.

    `searched` is without the tags, which are filters; it is empty for a question of tags or an identifier alone. At
    least `near_enough` of the articles are near enough to the question, where that was counted.
    """

    question: str
    searched: str
    changes: tuple[Change, ...]
    articles: int
    near_enough: int | None = None


class Expansion(msgspec.Struct, frozen=True):
    """A question as it is searched: its text, terms that BM25 looks for besides, and what was changed."""

    text: str
    terms: Terms = {}
    changes: tuple[Change, ...] = ()


def expand(view: View, question: str, mesh: MeshTree | None = None) -> Expansion:
    """Return what a question is understood as in an index; a question in which all is known stays as it is.

    >>> from search import Index
    >>> with Index.open("indexes/demo") as index:
    ...     index.understand("asprin for heart attack").searched
    'aspirin for myocardial infarction'
    """
    changes: list[Change] = []
    also: list[tuple[str, float]] = []
    text = question
    corrected = corrections(view, question)
    if corrected:
        changes += [Change("spelling", typed, meant) for typed, meant in corrected.items()]
        text = re.sub(r"(?<!\w)[^\W\d_]+(?!\w)", lambda match: corrected.get(match[0], match[0]), text)
    known = list(_acronyms(view, text))
    # Where much else is asked, an acronym says enough: its long form only helps BM25 to find more.
    alone = len(question_words(text)) - len(known) < _OTHERS
    for start, end, change in known[::-1]:
        changes.append(change)
        if alone:
            also.append((change.typed, _TYPED))
            # `PD dialysis` is peritoneal dialysis, and not that of dialysis.
            last = re.escape(change.searched.rpartition(" ")[2])
            text = text[:start] + change.searched + re.sub(rf"^ {last}\b", "", text[end:], flags=re.IGNORECASE)
        else:
            also.append((change.searched, _LONG_FORM))
    for match in [*_EVERYDAY_NAME.finditer(text)][::-1]:
        name = _EVERYDAY[match[0].lower()]
        if set(words(name)) <= set(words(text)):
            continue
        changes.append(Change("name", match[0], name))
        also.append((match[0], _TYPED))
        text = text[: match.start()] + name + text[match.end() :]
    terms = {term: share for name, weight in also for term, share in _weighed(name, weight, text)}
    for typed, heading in _headings(text, mesh):
        changes.append(Change("heading", typed, heading))
        terms.update(_weighed(heading, _HEADING, text))
    return Expansion(text, terms, tuple(changes))


def _acronyms(view: View, text: str) -> Iterator[tuple[int, int, Change]]:
    for start, end, short in acronyms_in(text):
        senses = senses_of(view, short, text)
        if senses:
            others = tuple(f"{sense.long} ({sense.articles:,})" for sense in senses[1:3])
            yield start, end, Change("acronym", short, senses[0].long, others)


def _weighed(name: str, weight: float, text: str) -> Iterator[tuple[tuple[str, str], float]]:
    """Yield the terms of a name that a text does not have already."""
    held = set(words(text))
    for word in dict.fromkeys(words(name)):
        if word not in held:
            yield from (((field, word), share * weight) for field, share in FIELDS.items())


def _headings(text: str, mesh: MeshTree | None) -> Iterator[tuple[str, str]]:
    """Yield the entry terms in a text, the longest first at each place, with the headings that they stand for."""
    typed = folded_words(text)
    at = 0
    while mesh is not None and at < len(typed):
        for end in range(min(len(typed), at + _LONGEST), at, -1):
            name = " ".join(typed[at:end])
            heading = mesh.heading(name) if question_words(name) and len(name) > 2 else None
            if heading is not None:
                if not set(words(heading.name)) <= set(words(text)):
                    yield name, heading.name
                at = end
                break
        else:
            at += 1
