"""MEDLINE text format (nbib), as PubMed writes it and as reference managers and review tools read it.

Every field of an article that the format has a tag for is written, in PubMed's order. Lines are broken at spaces only,
so joining them with a space gives back the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

from search.article import Article, Author, Correction, Grant, HistoryDate, Journal, PartialDate
from search.formats.citation_fields import (
    abstract_line,
    given_name,
    keyword_term,
    mesh_term,
)
from search.formats.medline.correction_tags import CORRECTION_TAGS
from search.normalize import clean
from search.presentation.citation import date_text, other_date, source
from search.presentation.notices import SAMPLE

__all__ = ["render"]

# PubMed's own lines hold 82 characters after the tag; a longer word stays in one piece.
_LINES = re.compile(r"(.{1,82}|[^ ]+)(?: |$)")


def render(article: Article) -> str:
    """Return the article as one MEDLINE record, ended by a blank line."""
    lines: list[str] = []
    for tag, value in _fields(article):
        text = clean(value)
        if text:
            lines.append(f"{tag:<4}- " + "\n      ".join(_LINES.findall(text)))
    return "\n".join([*lines, "", ""])


_Fields = Iterator[tuple[str, str | None]]


def _fields(article: Article) -> _Fields:
    yield "PMID", str(article.pmid)
    yield "STAT", article.status
    yield "DCOM", _day(article.completed)
    yield "LR", _day(article.revised)
    yield from _where(article)
    yield "DP", date_text(article.publication_date)
    yield "TI", article.title
    yield from _book(article)
    yield "PG", article.pages
    # PubMed writes the place of an article without pages as it is, and marks it where there are pages.
    yield "LID", _identifier(article.article_number, "pii") if article.pages else article.article_number
    yield "LID", _identifier(article.doi, "doi")
    yield from _abstracts(article)
    yield from _authors(article)
    yield from (("LA", language) for language in article.languages)
    yield from (("SI", "/".join(filter(None, (entry.databank, entry.number)))) for entry in article.accession_numbers)
    yield from (("GR", _grant(grant)) for grant in article.grants)
    yield from (("PT", kind.name) for kind in article.publication_types)
    yield "PUBM", article.publication_model
    yield "DEP", _electronic_date(article.electronic_date)
    yield "PL", article.book.place if article.book is not None else article.journal.country
    yield "TT", article.vernacular_title
    yield "TA", article.journal.abbreviation
    yield "JT", article.journal.title
    yield "JID", article.journal.nlm_id
    yield from _subjects(article)
    yield from (
        (CORRECTION_TAGS[correction.kind], _correction(correction))
        for correction in article.corrections
        if correction.kind in CORRECTION_TAGS
    )
    yield from (("GN", note.text) for note in article.general_notes)
    if article.is_sample:
        yield "GN", str(SAMPLE)
    yield from _identifiers(article)
    yield "PST", article.publication_status
    yield "SO", _source(article)


def _where(article: Article) -> _Fields:
    yield "IS", _issn(article.journal)
    yield "IS", f"{article.journal.issn_linking} (Linking)" if article.journal.issn_linking else None
    yield "VI", article.volume
    yield "IP", article.issue


def _book(article: Article) -> _Fields:
    book = article.book
    if book is None:
        return
    yield "BTI", book.title
    yield "CTI", book.collection
    yield "PB", book.publisher
    yield "EN", book.edition
    yield from (("ISBN", isbn) for isbn in book.isbns)
    yield from _people(book.editors, "FED", "ED")


def _abstracts(article: Article) -> _Fields:
    yield "AB", abstract_line(article)
    yield "CI", article.copyright
    for other in article.other_abstracts:
        text = " ".join(
            f"{section.label.upper()}: {section.text}" if section.label else section.text for section in other.sections
        )
        yield "OAB", f"{other.type}: {text}" if other.type else text
        yield "OABL", other.language
        yield "OCI", other.copyright


def _authors(article: Article) -> _Fields:
    yield from _people(article.authors, "FAU", "AU", "CN")
    if not article.authors_complete:
        yield "AU", "et al"
    for author in article.investigators:
        yield from _people((author,), "FIR", "IR")
        yield from (("IRAD", place) for place in author.affiliations)


def _people(authors: tuple[Author, ...], full: str, short: str, group: str | None = None) -> _Fields:
    for author in authors:
        if clean(author.collective_name):
            yield group or full, author.collective_name
        else:
            given = " ".join(part for part in (given_name(author), clean(author.suffix)) if part)
            yield full, ", ".join(part for part in (clean(author.last_name), given) if part)
            yield short, str(author)
        if full == "FAU":
            yield "AUID", f"ORCID: {author.orcid}" if author.orcid else None
            yield from (("AD", place) for place in author.affiliations)


def _subjects(article: Article) -> _Fields:
    for substance in article.substances:
        yield "RN", f"{substance.registry_number or 0} ({substance.name})"
    yield from (("SB", subset) for subset in article.citation_subsets)
    yield from (("NM", concept.name) for concept in article.supplementary_concepts)
    yield from (("MH", mesh_term(heading)) for heading in article.mesh_headings)
    yield from (("GS", symbol) for symbol in article.gene_symbols)
    yield from _people(article.personal_name_subjects, "FPS", "PS")
    yield from (("SFM", mission) for mission in article.space_flight_missions)
    yield "RF", str(article.number_of_references or "")
    owner = None
    for keyword in article.keywords:
        if keyword.owner != owner:
            owner = keyword.owner
            yield "OTO", owner
        yield "OT", keyword_term(keyword)
    yield "COIS", article.coi_statement


def _identifiers(article: Article) -> _Fields:
    yield "PMC", article.pmcid
    yield from (("MID", other.value) for other in article.other_ids if other.kind == "mid")
    days = {entry.status: entry for entry in article.history}
    yield from (
        (tag, _moment(days[status])) for tag, status in (("EDAT", "pubmed"), ("MHDA", "medline")) if status in days
    )
    entered = days.get("entrez")
    if entered is None and article.created is not None:
        entered = HistoryDate("entrez", article.created)
    yield "CRDT", _moment(entered) if entered is not None else None
    yield from (("PHST", f"{_moment(entry)} [{entry.status}]") for entry in article.history)
    yield from (("AID", _identifier(other.value, other.kind)) for other in article.other_ids if other.kind != "mid")
    yield "AID", _identifier(article.doi, "doi")


def _issn(journal: Journal) -> str | None:
    """Return the ISSN with its kind, without which some readers take it for no ISSN: `1234-5679 (Print)`."""
    kind = journal.issn_type if journal.issn_type in ("Print", "Electronic") else "Undetermined"
    return f"{journal.issn} ({kind})" if journal.issn else None


def _moment(entry: HistoryDate) -> str:
    return f"{entry.day.year:04d}/{entry.day.month:02d}/{entry.day.day:02d} {entry.time or '00:00'}"


def _identifier(value: str | None, kind: str) -> str | None:
    return f"{value} [{kind}]" if value else None


def _day(day: date | None) -> str | None:
    return f"{day:%Y%m%d}" if day else None


def _electronic_date(day: PartialDate | None) -> str | None:
    if day is None or day.year is None:
        return None
    return f"{day.year:04d}" + "".join(f"{part:02d}" for part in (day.month, day.month and day.day) if part)


def _grant(grant: Grant) -> str:
    return "/".join(part for part in (grant.number, grant.acronym, grant.agency, grant.country) if part)


def _correction(correction: Correction) -> str:
    parts = [correction.citation or "", f"PMID: {correction.pmid}" if correction.pmid is not None else ""]
    return " ".join(part for part in parts if part) or (correction.note or "")


def _source(article: Article) -> str:
    """Return the reference as MEDLINE prints it: `BMC Bioinformatics. 2006 Jan 10;7:10. doi: ...`."""
    doi = f"doi: {article.doi}." if article.doi else ""
    return " ".join(part for part in (source(article), doi, other_date(article)) if part)
