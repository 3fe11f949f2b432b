"""What of an article a strategy can ask for: words with their places, and exact values.

A word is written `zone:word`. The zones are `t` title, `b` abstracts, `k` keywords, `m` headings, types, substances,
databanks and notes, `c` names of groups, `a` affiliations, `g` grants, `v` vernacular title, `o` conflict of interest,
`p` publisher, `q` book, `n` names, journal and numbers. An exact value is written `field:value`, its words joined by
`_`: `mh:heart_failure/drug_therapy`, `au:smith/ja/jr`, `dp:20150317`, `abbr:mi/myocardial_infarction`. Every
store of words is fed by `tokens_of`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

import msgspec

from search.article import Article, Author, PartialDate
from search.normalize import MONTHS, folded_key, folded_words, journal_keys, yyyymmdd
from search.storage.short_forms import short_form_keys

__all__ = [
    "TOKEN_RULE",
    "Tokens",
    "key_of",
    "people_keys",
    "publication_day",
    "token_texts",
    "tokens_of",
    "zone_values",
]

#: Name and version of the rules below. Written into every index that holds these tokens.
TOKEN_RULE = "strategy-2"

#: Zones whose words PubMed searches by proximity: `many:a` marks an article with several values in one.
_NEAR_ZONES = "tbka"

#: Letters of an exact value that are compared: PostgreSQL holds no longer lexeme than 2,046 bytes.
_LONGEST_KEY = 500

#: PubMed searches no more initials of an author than these.
_INITIALS = 2


class Tokens(msgspec.Struct, frozen=True):
    """The tokens of an article: `words`, one tuple for each stretch of text, in order; `keys`, sorted, each once."""

    words: tuple[tuple[str, ...], ...]
    keys: tuple[str, ...]


def tokens_of(article: Article) -> Tokens:
    """Return the words and the exact values of an article."""
    texts, keys = token_texts(article)
    return Tokens(tuple(tuple(text.split(" ")) for text in texts), tuple(keys))


def token_texts(article: Article) -> tuple[list[str], list[str]]:
    """Return the tokens of an article: the words of each stretch of text with spaces between, and the keys, sorted."""
    texts: list[str] = []
    keys = set(_keys(article))
    for zone, values in zone_values(article).items():
        before = len(texts)
        for value in values:
            if value:
                # Subjects come again and again, other texts do not.
                text = _zoned_subject(value) if zone == "m" else _zoned(zone, value)
                if text:
                    texts.append(text)
        if zone in _NEAR_ZONES and len(texts) > before + 1:
            keys.add(f"many:{zone}")
    given = [key for key in keys if key[-1] != ":"]
    return texts, sorted(given if max(map(len, given)) <= _LONGEST_KEY else {key[:_LONGEST_KEY] for key in given})


def _zoned(zone: str, text: str) -> str:
    words = folded_words(text)
    return f"{zone}:{f' {zone}:'.join(words)}" if words else ""


@lru_cache(100_000)
def _zoned_subject(text: str) -> str:
    return _zoned("m", text)


def key_of(text: str) -> str:
    """Return an exact value as it is written: folded words joined by `_`, `/` kept between a heading and a subheading.

    >>> key_of("Heart Failure / Drug Therapy")
    'heart_failure/drug_therapy'
    """
    return "/".join(folded_key(part) for part in text.split("/"))


def zone_values(article: Article) -> dict[str, list[str]]:
    """Return the texts of an article by zone; words of two texts never stand side by side."""
    book = article.book
    people = (*article.authors, *article.investigators, *(book.editors if book else ()))
    affiliations = [place for person in people for place in person.affiliations]
    abstracts = [article.labelled_abstract]
    for other in article.other_abstracts:
        abstracts.append(" ".join(f"{section.label or ''} {section.text}" for section in other.sections))
    return {
        "t": [article.title, (book.collection or "") if book else ""],
        "b": abstracts,
        "k": [keyword.text for keyword in article.keywords],
        "m": list(dict.fromkeys(_subjects(article))),
        "c": [person.collective_name for person in people if person.collective_name],
        "a": list(dict.fromkeys(affiliations)),
        "g": list(dict.fromkeys(_grants(article))),
        "v": [article.vernacular_title or ""],
        "o": [article.coi_statement or ""],
        "p": [(book.publisher or "") if book else ""],
        "q": [book.title if book else ""],
        "n": list(dict.fromkeys(_names(article, people))),
    }


def _subjects(article: Article) -> Iterator[str]:
    for heading in article.mesh_headings:
        yield heading.descriptor
        yield from (qualifier.name for qualifier in heading.qualifiers)
    yield from (kind.name for kind in article.publication_types)
    yield from (substance.name for substance in article.substances)
    yield from (concept.name for concept in article.supplementary_concepts)
    yield from (f"{entry.databank} {entry.number}" for entry in article.accession_numbers)
    yield from (f"{note.citation or ''} {note.note or ''}" for note in article.corrections)
    yield from (_name(person) for person in article.personal_name_subjects)
    yield from article.space_flight_missions


def _grants(article: Article) -> Iterator[str]:
    for grant in article.grants:
        yield from (part for part in (grant.number, grant.acronym, grant.agency, grant.country) if part)


def _names(article: Article, people: Iterable[Author]) -> Iterator[str]:
    yield from map(_name, people)
    yield from (*article.gene_symbols, article.article_number or "")
    journal = article.journal
    names = (journal.title, journal.iso_abbreviation, journal.medline_abbreviation, journal.issn, journal.issn_linking)
    numbers = (
        journal.nlm_id,
        article.volume,
        article.issue,
        _first_page(article),
        article.article_number,
        article.doi,
        article.pmcid,
    )
    yield from (text for text in (*names, *numbers, *article.languages) if text)
    yield from (entry.value for entry in article.other_ids)
    yield from (substance.registry_number or "" for substance in article.substances)
    yield from (str(year) for year in (article.publication_date.year, article.pmid) if year)


def _name(person: Author) -> str:
    return f"{person.last_name or ''} {person.fore_name or ''} {person.initials or ''} {person.suffix or ''}"


def _keys(article: Article) -> Iterator[str]:
    yield from _people(article)
    yield from _headings(article)
    yield from _values(article)
    yield from short_form_keys(article.title)
    yield from short_form_keys(article.abstract_text)
    yield from (f"sb:{name}" for name in _subsets(article))
    yield from (f"{field}:{day}" for field, day in _days(article) if day)


def people_keys(field: str, full: str, people: Iterable[Author]) -> Iterator[str]:
    """Yield `field:last/initials` (with a suffix, `/suffix`) and `full:last/fore_name` of people."""
    for person in people:
        last = folded_key(person.last_name or person.fore_name or "")
        if not last:
            continue
        initials = folded_key(person.initials or "").replace("_", "")[:_INITIALS]
        suffix = folded_key(person.suffix) if person.suffix else ""
        yield f"{field}:{last}/{initials}{'/' + suffix if suffix else ''}"
        fore = folded_key(person.fore_name or "")
        if full and fore and person.last_name:
            yield f"{full}:{last}/{fore}"


def _people(article: Article) -> Iterator[str]:
    persons = [author for author in article.authors if author.last_name or author.fore_name]
    yield from people_keys("au", "fau", persons)
    yield from people_keys("1au", "", persons[:1])
    yield from people_keys("lastau", "", persons[-1:])
    yield from people_keys("ir", "fir", article.investigators)
    yield from people_keys("ps", "", article.personal_name_subjects)
    yield from people_keys("ed", "", article.book.editors if article.book else ())
    for person in (*article.authors, *article.investigators):
        if person.orcid:
            yield f"auid:{key_of(person.orcid.rpartition('/')[2])}"


def _headings(article: Article) -> Iterator[str]:
    for heading in article.mesh_headings:
        name = folded_key(heading.descriptor)
        yield f"mh:{name}"
        if heading.is_major:
            yield f"majr:{name}"
        for qualifier in heading.qualifiers:
            under = folded_key(qualifier.name)
            yield f"sh:{under}"
            yield f"mh:{name}/{under}"
            if qualifier.major or heading.major:
                yield f"majr:{name}/{under}"
    for kind in article.publication_types:
        yield f"pt:{folded_key(kind.name)}"
    concepts = [part.name for part in article.substances] + [part.name for part in article.supplementary_concepts]
    yield from (f"nm:{folded_key(name)}" for name in concepts)
    for substance in article.substances:
        if substance.registry_number not in (None, "0"):
            yield f"rn:{folded_key(str(substance.registry_number))}"


def _values(article: Article) -> Iterator[str]:
    journal, book = article.journal, article.book
    yield from (f"la:{folded_key(language)}" for language in article.languages)
    yield from (f"ta:{folded_key(name)}" for name in journal_keys(article))
    identifiers = [article.doi, article.article_number, *(entry.value for entry in article.other_ids)]
    single: dict[str, list[str | None]] = {
        "jid": [journal.nlm_id],
        "pl": [journal.country, book.place if book else None],
        "vi": [article.volume],
        "ip": [article.issue],
        "pg": [_first_page(article)],
        "pmc": [article.pmcid],
        "aid": [*identifiers],
        "isbn": list(book.isbns) if book else [],
    }
    for field, values in single.items():
        for value in values:
            if value:
                yield f"{field}:{folded_key(value)}"
    for entry in article.accession_numbers:
        databank, number = (folded_key(part) for part in (entry.databank, entry.number))
        yield from (f"si:{databank}", f"si:{number}")
        if number:
            yield f"si:{databank}/{number}"


def _first_page(article: Article) -> str:
    return re.split(r"[-–,;\s]", (article.pages or "").strip(), maxsplit=1)[0]


#: NLM's words for the state of a record, and the subset that each is.
_STATES = {
    "medline": "medline",
    "oldmedline": "medline",
    "in-process": "inprocess",
    "in-data-review": "inprocess",
    "publisher": "publisher",
    "pubmed-not-medline": "pubmednotmedline",
}


def _subsets(article: Article) -> Iterator[str]:
    yield "all"
    state = _STATES.get((article.status or "").lower())
    given = {
        state or "": state is not None,
        "hasabstract": bool(article.abstract_text.strip()),
        "hasstructuredabstract": any(section.label for section in article.abstract),
        "haskeyword": bool(article.keywords),
        "hascois": bool(article.coi_statement),
        "hasdatabanklist": bool(article.accession_numbers),
        "hasnihmsid": any(entry.kind == "mid" for entry in article.other_ids),
        "free_full_text": bool(article.pmcid),
        "pubmed_books": article.book is not None,
        "pubstatusaheadofprint": article.publication_status == "aheadofprint",
    }
    yield from (name for name, holds in given.items() if holds)
    for correction in article.corrections:
        yield "has" + correction.kind.lower().replace("correctedandrepublished", "correctedrepublished")


def _days(article: Article) -> Iterator[tuple[str, int]]:
    """Yield the dates by PubMed's rules: an electronic date after the printed one counts in ranges only (`dpx`)."""
    printed = publication_day(article.publication_date)
    electronic = publication_day(article.electronic_date) if article.electronic_date else 0
    yield from (("ppdat", printed), ("epdat", electronic), ("dp", printed))
    yield ("dpx" if 0 < printed < electronic else "dp"), electronic
    entered = {"pubmed": "edat", "medline": "mhda"}
    yield from ((entered[step.status], yyyymmdd(step.day)) for step in article.history if step.status in entered)
    yield from (
        ("crdt", yyyymmdd(article.created)),
        ("dcom", yyyymmdd(article.completed)),
        ("lr", yyyymmdd(article.revised)),
    )


_SEASONS = {"win": 1, "spr": 4, "sum": 7, "fal": 10, "aut": 10}
_MONTHS = {**{month.lower(): number for number, month in enumerate(MONTHS, start=1)}, **_SEASONS}
_YEAR = re.compile(r"(?<!\d)(1[5-9]\d\d|20\d\d)(?!\d)")
_MONTH = re.compile(rf"\b({'|'.join(_MONTHS)})", re.IGNORECASE)


def publication_day(day: PartialDate) -> int:
    """Return the day (yyyymmdd) that PubMed files a date under: what is missing is the first; 0 without a year.

    Winter is January, spring April, summer July, fall October.
    """
    text = day.medline_date or ""
    year = _YEAR.search(text)
    if year:
        month = _MONTH.search(text, year.end())
        return int(year[1]) * 10_000 + (_MONTHS[month[1].lower()] if month else 1) * 100 + 1
    if day.year is None:
        return 0
    season = _MONTHS.get((day.season or "")[:3].lower(), 1)
    return day.year * 10_000 + (day.month or season) * 100 + (day.day or 1 if day.month else 1)
