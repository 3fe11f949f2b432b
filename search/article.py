"""What a PubMed record says: Article, Deletion and their parts, and the rule for the text that is embedded.

Every reader yields these and every writer takes them. They are immutable, compare by value, and turn into JSON and
back without loss (`to_json`, `from_json`). Field names follow NLM's PubMed DTD (pubmed_250101.dtd) where it has one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import date
from typing import Any

import msgspec

from search.characters import visible
from search.errors import InvalidRecordError

__all__ = [
    "MAX_PMID",
    "SAMPLE_PMIDS",
    "TEXT_RULE",
    "AbstractSection",
    "AccessionNumber",
    "Article",
    "ArticleId",
    "Author",
    "Book",
    "Correction",
    "Deletion",
    "GeneralNote",
    "Grant",
    "HistoryDate",
    "Journal",
    "Keyword",
    "MeshHeading",
    "MeshQualifier",
    "OtherAbstract",
    "PartialDate",
    "PublicationType",
    "Substance",
    "SupplementaryConcept",
    "as_recorded",
    "embedding_text",
    "model_inputs",
    "from_json",
    "text_hash",
    "to_dict",
    "to_json",
]

#: Name and version of the rule that `embedding_text` follows. Written into every index.
TEXT_RULE = "title-abstract-2"

#: PMIDs of the records that were written for this project. They are not real studies.
SAMPLE_PMIDS = range(990_000_001, 991_000_000)

#: The largest PMID that is accepted. JSON readers elsewhere hold no larger integer; NLM's have 8 digits.
MAX_PMID = 2**53 - 1

#: Databanks whose accession numbers identify a clinical trial (NLM's list of DataBankName values).
TRIAL_REGISTRIES = frozenset(
    {
        "ANZCTR", "ChiCTR", "CRiS", "ClinicalTrials.gov", "CTRI", "DRKS", "EudraCT", "IRCT", "ISRCTN",
        "JapicCTI", "JMACCT", "JPRN", "NTR", "PACTR", "ReBec", "REPEC", "RPCEC", "SLCTR", "TCTR",
        "UMIN CTR", "UMIN-CTR",
    }
)  # fmt: skip

#: Kinds of correction that change how an article should be read, in the order a reader must know of them. Those that
#: end in `Of` or `For` say that the article itself is the notice, of another one.
NOTICE_KINDS = (
    "RetractionIn",
    "RetractedSince",
    "RetractedandRepublishedIn",
    "PartialRetractionIn",
    "ExpressionOfConcernIn",
    "CorrectedandRepublishedIn",
    "CitesRetracted",
    "ErratumIn",
    "UpdateIn",
    "RetractionOf",
    "PartialRetractionOf",
    "ExpressionOfConcernFor",
    "ErratumFor",
)

#: Types and corrections of records that are nothing but a notice about another article.
_NOTICE_TYPES = frozenset(
    {"Expression of Concern", "Published Erratum", "Retraction Notice", "Retraction of Publication"}
)
_NOTICE_OF = frozenset({"RetractionOf", "PartialRetractionOf", "ExpressionOfConcernFor", "ErratumFor"})

#: What is not NLM's and is never stored with a record: the kinds of the notices that an article cites retracted work
#: and that it was retracted since a saved search found it, and what text from Retraction Watch's list begins with.
CITES_RETRACTED, RETRACTED_SINCE, RETRACTION_WATCH = "CitesRetracted", "RetractedSince", "Retraction Watch"


class _Part(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Base of the parts: immutable, compared by value, empty fields left out of the JSON."""


class PartialDate(_Part, frozen=True):
    """A date at the precision a record gives: a year, a year and month, a day, a season, or NLM's free MedlineDate."""

    year: int | None = None
    month: int | None = None
    day: int | None = None
    season: str | None = None
    medline_date: str | None = None

    def __str__(self) -> str:
        """Return `2004`, `2004-03`, `2004-03-17`, `2004 Summer`, or the MedlineDate as it stands; empty if unknown."""
        if self.medline_date:
            return self.medline_date
        if self.year is None:
            return ""
        if self.season:
            return f"{self.year} {self.season}"
        parts = [f"{self.year:04d}"]
        if self.month is not None:
            parts.append(f"{self.month:02d}")
            if self.day is not None:
                parts.append(f"{self.day:02d}")
        return "-".join(parts)


class AbstractSection(_Part, frozen=True):
    """One section of an abstract: its text, its label as printed and NLM's category of it."""

    text: str
    label: str | None = None
    category: str | None = None


class OtherAbstract(_Part, frozen=True):
    """An abstract beside the main one: in another language, or of another `type`, e.g. `plain-language-summary`."""

    sections: tuple[AbstractSection, ...]
    type: str | None = None
    language: str | None = None
    copyright: str | None = None


class Journal(_Part, frozen=True):
    """The journal an article appeared in."""

    title: str | None = None
    iso_abbreviation: str | None = None
    medline_abbreviation: str | None = None
    issn: str | None = None
    issn_linking: str | None = None
    nlm_id: str | None = None
    country: str | None = None
    #: Which of its editions `issn` is of: `Print`, `Electronic` or `Undetermined`.
    issn_type: str | None = None

    @property
    def name(self) -> str:
        """The fullest name that is known: title, ISO abbreviation or MEDLINE abbreviation; empty if none is."""
        return self.title or self.iso_abbreviation or self.medline_abbreviation or ""

    @property
    def abbreviation(self) -> str:
        """The abbreviation that citations use: MEDLINE's, as PubMed does, or ISO's; empty if neither is known."""
        return self.medline_abbreviation or self.iso_abbreviation or ""


class Author(_Part, frozen=True):
    """A person (`last_name` and so on) or a group (`collective_name`)."""

    last_name: str | None = None
    fore_name: str | None = None
    initials: str | None = None
    suffix: str | None = None
    collective_name: str | None = None
    orcid: str | None = None
    affiliations: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the name as PubMed prints it: `Smith JA`, `Smith JA Jr`, or the name of the group."""
        if self.collective_name:
            return self.collective_name
        return " ".join(part for part in (self.last_name or self.fore_name, self.initials, self.suffix) if part)


class MeshQualifier(_Part, frozen=True):
    """A MeSH qualifier (subheading) of a heading."""

    name: str
    ui: str | None = None
    major: bool = False


class MeshHeading(_Part, frozen=True):
    """A MeSH descriptor with its qualifiers; `major` if the descriptor itself is a main point of the article."""

    descriptor: str
    ui: str | None = None
    major: bool = False
    qualifiers: tuple[MeshQualifier, ...] = ()

    @property
    def is_major(self) -> bool:
        """Whether the descriptor or one of its qualifiers is a main point of the article, as PubMed's [majr] counts."""
        return self.major or any(qualifier.major for qualifier in self.qualifiers)


class SupplementaryConcept(_Part, frozen=True):
    """A supplementary MeSH concept: a protocol, a disease or an organism (`type`)."""

    name: str
    ui: str | None = None
    type: str | None = None


class Keyword(_Part, frozen=True):
    """A keyword and who gave it (`NOTNLM` is the author)."""

    text: str
    major: bool = False
    owner: str | None = None


class PublicationType(_Part, frozen=True):
    """A publication type of NLM's list, e.g. `Randomized Controlled Trial`."""

    name: str
    ui: str | None = None


class Substance(_Part, frozen=True):
    """A chemical: its name, MeSH UI and CAS registry or UNII number (`0` where NLM gives none)."""

    name: str
    ui: str | None = None
    registry_number: str | None = None


class AccessionNumber(_Part, frozen=True):
    """A number in a databank (trial registry, sequence or structure bank); empty if only the bank is named."""

    databank: str
    number: str = ""


class HistoryDate(_Part, frozen=True):
    """A day in the history of a record (`received`, `accepted`, `entrez`, ...), with the time if one is given."""

    status: str
    day: date
    time: str | None = None


class GeneralNote(_Part, frozen=True):
    """A note about the record, and which organisation wrote it."""

    text: str
    owner: str | None = None


class ArticleId(_Part, frozen=True):
    """An identifier that has no field of its own, e.g. `pii`, `mid`, `sici`, `bookaccession`."""

    kind: str
    value: str


class Grant(_Part, frozen=True):
    """A grant that paid for the work."""

    number: str | None = None
    acronym: str | None = None
    agency: str | None = None
    country: str | None = None


class Correction(_Part, frozen=True):
    """A link to another article that corrects, retracts, updates or comments on this one (`kind` is NLM's RefType)."""

    kind: str
    citation: str | None = None
    pmid: int | None = None
    note: str | None = None


class Book(_Part, frozen=True):
    """The book that a PubmedBookArticle is a part of."""

    title: str
    publisher: str | None = None
    place: str | None = None
    edition: str | None = None
    isbns: tuple[str, ...] = ()
    editors: tuple[Author, ...] = ()
    collection: str | None = None
    medium: str | None = None


class Article(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """Everything that a PubMed record says that a person filters by, reads or exports."""

    pmid: int
    version: int = 1
    title: str = ""
    vernacular_title: str | None = None
    abstract: tuple[AbstractSection, ...] = ()
    copyright: str | None = None
    other_abstracts: tuple[OtherAbstract, ...] = ()
    journal: Journal = Journal()
    book: Book | None = None
    volume: str | None = None
    issue: str | None = None
    pages: str | None = None
    #: The place of an article that has no pages, such as `e80092` or `9966`: NLM's ELocationID of the type `pii`.
    article_number: str | None = None
    publication_date: PartialDate = PartialDate()
    electronic_date: PartialDate | None = None
    #: How the journal publishes (`PubModel`): `Print`, `Electronic`, `Print-Electronic`, `Electronic-eCollection`, ...
    publication_model: str | None = None
    languages: tuple[str, ...] = ()
    authors: tuple[Author, ...] = ()
    authors_complete: bool = True
    investigators: tuple[Author, ...] = ()
    mesh_headings: tuple[MeshHeading, ...] = ()
    supplementary_concepts: tuple[SupplementaryConcept, ...] = ()
    keywords: tuple[Keyword, ...] = ()
    publication_types: tuple[PublicationType, ...] = ()
    substances: tuple[Substance, ...] = ()
    gene_symbols: tuple[str, ...] = ()
    #: The people that an article is about: of obituaries and biographies.
    personal_name_subjects: tuple[Author, ...] = ()
    space_flight_missions: tuple[str, ...] = ()
    citation_subsets: tuple[str, ...] = ()
    general_notes: tuple[GeneralNote, ...] = ()
    number_of_references: int | None = None
    #: The works it cites, each by its PMID or, where a record gives none, by its DOI or PMCID (text); no other works.
    references: tuple[int | str, ...] = ()
    doi: str | None = None
    pmcid: str | None = None
    other_ids: tuple[ArticleId, ...] = ()
    accession_numbers: tuple[AccessionNumber, ...] = ()
    grants: tuple[Grant, ...] = ()
    corrections: tuple[Correction, ...] = ()
    coi_statement: str | None = None
    created: date | None = None
    completed: date | None = None
    revised: date | None = None
    status: str | None = None
    publication_status: str | None = None
    history: tuple[HistoryDate, ...] = ()

    @property
    def abstract_text(self) -> str:
        """The main abstract as one string without labels: what is embedded."""
        return " ".join(section.text for section in self.abstract if section.text)

    @property
    def labelled_abstract(self) -> str:
        """The main abstract as PubMed prints it: one section a line, each led by its label in capitals."""
        return "\n".join(
            f"{section.label.upper()}: {section.text}" if section.label else section.text for section in self.abstract
        )

    @property
    def location(self) -> str:
        """Where in its volume an article is: its pages, or else its article number; empty if neither is known."""
        return self.pages or self.article_number or ""

    @property
    def citation_date(self) -> PartialDate:
        """The date that heads a citation: the issue's, or the electronic one where the journal publishes so first."""
        electronic = self.electronic_date
        if electronic is None or electronic.year is None:
            return self.publication_date
        if self.publication_date.year is None and not self.publication_date.medline_date:
            return electronic
        return electronic if (self.publication_model or "").startswith("Electronic") else self.publication_date

    @property
    def year(self) -> int | None:
        """The year of publication, as in a citation; that of the electronic date where the issue's is not known."""
        if self.citation_date.year is None and self.electronic_date is not None:
            return self.electronic_date.year
        return self.citation_date.year

    @property
    def journal_name(self) -> str:
        """The full name of the journal, or the title of the book, as data and counts show it; empty if unknown."""
        return self.journal.name or (self.book.title if self.book is not None else "")

    @property
    def journal_abbreviation(self) -> str:
        """The name of the journal in citations and tables: its abbreviation, otherwise `journal_name`."""
        return self.journal.abbreviation or self.journal_name

    @property
    def url(self) -> str:
        """Where PubMed shows the article."""
        return f"https://pubmed.ncbi.nlm.nih.gov/{self.pmid}/"

    @property
    def is_sample(self) -> bool:
        """Whether the record was written for this project and is not a real study."""
        return self.pmid in SAMPLE_PMIDS

    @property
    def is_retracted(self) -> bool:
        """Whether the article has been retracted, by its publication types or by a notice."""
        return any(kind.name == "Retracted Publication" for kind in self.publication_types) or any(
            correction.kind == "RetractionIn" for correction in self.corrections
        )

    @property
    def is_notice(self) -> bool:
        """Whether the record is a notice about another article: of a retraction, a concern or an error."""
        return any(kind.name in _NOTICE_TYPES for kind in self.publication_types) or any(
            correction.kind in _NOTICE_OF for correction in self.corrections
        )

    @property
    def notices(self) -> tuple[Correction, ...]:
        """The corrections a reader must know of, the gravest first (`NOTICE_KINDS`)."""
        corrections = [correction for correction in self.corrections if correction.kind in NOTICE_KINDS]
        return tuple(sorted(corrections, key=lambda correction: NOTICE_KINDS.index(correction.kind)))

    @property
    def trial_numbers(self) -> tuple[str, ...]:
        """Numbers of the clinical trials that the article reports, e.g. `NCT01234567`."""
        return tuple(
            entry.number for entry in self.accession_numbers if entry.number and entry.databank in TRIAL_REGISTRIES
        )


class Deletion(_Part, frozen=True):
    """NLM has withdrawn the record with this PMID: the given version and older ones, or all (None)."""

    pmid: int
    version: int | None = None


def as_recorded(article: Article) -> Article:
    """Return an article with what its record says of it only, without what an index has added to its corrections."""
    kept = []
    for correction in article.corrections:
        note, mark, _ = (correction.note or "").partition(RETRACTION_WATCH)
        if correction.kind in (CITES_RETRACTED, RETRACTED_SINCE) or (correction.citation or "").startswith(
            RETRACTION_WATCH
        ):
            continue
        kept.append(msgspec.structs.replace(correction, note=note.rstrip("; ") or None) if mark else correction)
    corrections = tuple(kept)
    if corrections == article.corrections:
        return article
    return msgspec.structs.replace(article, corrections=corrections)


def embedding_text(article: Article) -> str:
    """Return the text of an article that is embedded: title and abstract joined by a space (rule `TEXT_RULE`).

    Invisible characters are left out, and letters with accents are composed.
    """
    return visible(f"{article.title} {article.abstract_text}".strip())


def model_inputs(articles: Iterable[Article], *, pairs: bool) -> list[str | tuple[str, str]]:
    """Return what a model reads of articles: their texts, or for models made so the pair of title and abstract."""
    if pairs:
        return [(article.title, article.abstract_text) for article in articles]
    return [embedding_text(article) for article in articles]


def text_hash(text: str) -> bytes:
    """Return the 16-byte BLAKE2b hash that distinguishes a changed text from an unchanged one."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Article)


def to_json(article: Article) -> bytes:
    """Return the article as one line of JSON (UTF-8, empty fields left out); `from_json` reads it back unchanged."""
    return _encoder.encode(article)


def from_json(data: bytes | str) -> Article:
    """Read an article that `to_json` wrote.

    Raises InvalidRecordError if it is not JSON, has no PMID, or has a field of the wrong type.
    """
    try:
        return _decoder.decode(data)
    except msgspec.MsgspecError as error:
        raise InvalidRecordError(f"not an article: {error}") from error


def to_dict(article: Article) -> dict[str, Any]:
    """Return the article as plain dicts, lists, strings and numbers, empty fields left out."""
    result: dict[str, Any] = msgspec.to_builtins(article)
    return result
