"""References as reference managers and other databases write them: RIS, BibTeX, CSL JSON, CSV, lists of identifiers.

Everything that PubMed's own formats say is read by their readers (`open_source`), and then taken as a reference too.
"""

from __future__ import annotations

import csv
import html
import json
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from search.article import Article
from search.characters import composed
from search.errors import InvalidRecordError, SourceError
from search.formats.base import Rejection
from search.formats.byte_stream import ByteStream, lines
from search.formats.identifiers import normalise_pmcid, parse_pmid, tidy_doi, typed_identifier
from search.formats.open import open_source
from search.normalize import clean

__all__ = ["Reference", "read_references", "write_ris"]

#: No line and no entry of a list of references is longer.
_LONGEST = 1 << 22
_MOST_BYTES = 1 << 28


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """A reference as a list has it; what the list does not say is empty. `authors` have the family name first."""

    where: str
    pmid: int | None = None
    doi: str = ""
    pmcid: str = ""
    title: str = ""
    year: int | None = None
    authors: tuple[str, ...] = ()
    journal: str = ""
    volume: str = ""
    issue: str = ""
    pages: str = ""
    abstract: str = ""
    is_preprint: bool = False
    #: PMIDs of other versions of it, as NLM links preprints with what was published.
    versions: tuple[int, ...] = ()

    @property
    def family_name(self) -> str:
        """The family name of the first author, or the name of a group."""
        return self.authors[0].partition(",")[0].strip() if self.authors else ""

    def __str__(self) -> str:
        """Return what a person knows it by: `Smith 2004: On zebras`, or its identifier."""
        name = " ".join(part for part in (self.family_name, str(self.year or "")) if part)
        told = f"{name}: {self.title}" if name and self.title else self.title or name
        return told or (f"PMID {self.pmid}" if self.pmid else self.doi or self.pmcid or "(empty)")


_PREPRINT_DOI = re.compile(
    r"10\.(?:1101/\d|21203/rs|48550/|20944/preprints|2139/ssrn|31234/|31219/|26434/|64898/)", re.I
)
_PREPRINT_SERVER = re.compile(
    r"\b(?:biorxiv|medrxiv|arxiv|chemrxiv|psyarxiv|research square|res sq|preprints?|ssrn)\b", re.I
)


def read_references(source: str | Path | ByteStream) -> Iterator[Reference | Rejection]:
    """Yield the references of a file or a stream in their order; what cannot be used comes as a Rejection.

    The format is told by the content: RIS, BibTeX, CSL JSON, CSV with a column of titles, DOIs or PMIDs, PubMed's own
    formats, or a list of PMIDs, DOIs and PMCIDs, one a line. Raises SourceError if it is none of these, is empty, or
    cannot be read to its end.
    """
    stream = ByteStream.of(source)
    head = stream.head().lstrip()
    if not head:
        raise SourceError(f"{stream.name}: is empty; references are expected")
    text = head.decode("utf-8", "replace")
    first = text.partition("\n")[0]
    if _RIS_START.search(text):
        yield from _read_ris(stream)
    elif _BIBTEX_START.search(text):
        yield from _read_bibtex(stream)
    elif text[:1] in "[{" and _is_csl(text):
        yield from _read_csl(stream)
    elif first.strip(' \ufeff\r"').lower() in _LIST_HEADS or _identified(first, stream.name):
        yield from _read_list(stream)
    elif _table_columns(first):
        yield from _read_csv(stream)
    else:
        for record in open_source(stream):
            if isinstance(record, Article):
                yield of_article(record, f"{stream.name} PMID {record.pmid}")
            elif isinstance(record, Rejection):
                yield record


def of_article(article: Article, where: str = "") -> Reference:
    """Return an article of PubMed's as a reference."""
    versions = tuple(link.pmid for link in article.corrections if link.kind in ("UpdateIn", "UpdateOf") and link.pmid)
    kinds = {kind.name for kind in article.publication_types}
    names = (
        author.collective_name or ", ".join(filter(None, (author.last_name, author.fore_name or author.initials)))
        for author in article.authors
    )
    return _reference(
        where or f"PMID {article.pmid}",
        pmid=article.pmid,
        doi=article.doi,
        pmcid=article.pmcid,
        title=article.title,
        year=article.year,
        authors=tuple(names),
        journal=article.journal_name,
        volume=article.volume,
        issue=article.issue,
        pages=article.location,
        abstract=article.abstract_text,
        is_preprint="Preprint" in kinds,
        versions=versions,
    )


def _reference(where: str, *, is_preprint: bool = False, **fields: Any) -> Reference:
    """Return a reference of fields as they were found."""
    authors = tuple(name for name in map(_name, fields.pop("authors", ())) if name)
    texts: dict[str, Any] = {name: _plain(str(fields.pop(name, None) or "")) for name in _TEXTS}
    doi = tidy_doi(fields.pop("doi", None))
    is_preprint = is_preprint or bool(_PREPRINT_DOI.match(doi)) or bool(_PREPRINT_SERVER.search(texts["journal"]))
    return Reference(
        where=where,
        doi=doi,
        pmcid=normalise_pmcid(str(fields.pop("pmcid", None) or "")) or "",
        authors=authors,
        is_preprint=is_preprint,
        **texts,
        **fields,
    )


_TEXTS = ("title", "journal", "volume", "issue", "pages", "abstract")


def _plain(text: str) -> str:
    """Return text on one line, composed, without tags and entities."""
    if "<" in text:
        text = re.sub(r"</?(?:i|b|u|em|sub|sup|strong|scp|jats:\w+|p|span)\b[^>]*>", "", text)
    return clean(composed(html.unescape(text) if "&" in text else text))


def _name(text: str) -> str:
    """Return a name with the family name first, then a comma: `Smith, J. A.`, also where it was `J. A. Smith`."""
    name = _plain(text).rstrip(",; ")
    if not name or "," in name:
        return name
    *given, last = name.split()
    if not given:
        return name
    if re.fullmatch(r"[A-Z][A-Z.-]{0,3}", last) and not re.fullmatch(r"[A-Z]\.?", given[0]):
        # `Smith JA`, as PubMed has it.
        return f"{' '.join(given)}, {last}"
    first = next((place for place, part in enumerate(given) if part.lower() == part and part in _PARTICLES), len(given))
    return f"{' '.join([*given[first:], last])}, {' '.join(given[:first])}".rstrip(", ")


#: What family names begin with.
_PARTICLES = frozenset(
    {"al", "bin", "da", "das", "de", "del", "della", "den", "der", "di", "dos", "du", "el", "la", "le", "ten", "ter"}
    | {"van", "von", "zu", "zum", "zur"}
)


def _year(text: str | None) -> int | None:
    found = re.search(r"(?<!\d)(1[5-9]\d\d|20\d\d|21\d\d)(?!\d)", text or "")
    return int(found[0]) if found else None


def _pmid(*texts: str | None) -> int | None:
    """Return the first PMID that a text is, or names: `PMID: 123`, the address of an article."""
    for text in texts:
        for found in (
            text or "",
            *re.findall(r"(?:pmid|pubmed(?:\.ncbi\.nlm\.nih\.gov)?)[:/ ]*(\d{1,8})", text or "", re.I),
        ):
            try:
                return parse_pmid(re.sub(r"\.0+$", "", found))
            except InvalidRecordError:
                continue
    return None


# RIS ------------------------------------------------------------------------------------------------------------------

_RIS_START = re.compile(r"^(?:\ufeff|\s|\d+\.\s)*TY  ?- ?\w", re.MULTILINE)
_RIS_TAG = re.compile(r"([A-Z][A-Z0-9])  ?-(?: (.*)|)$")


def _read_ris(stream: ByteStream) -> Iterator[Reference | Rejection]:
    fields: dict[str, list[str]] = {}
    start, last = 0, ""
    for number, line in lines(stream.pieces(), _LONGEST):
        text = (line or b"").decode("utf-8", "replace").strip("\ufeff\r")
        tag = _RIS_TAG.match(text.rstrip())
        if tag is None:
            if text.strip() and last:
                fields[last][-1] += f" {text.strip()}"
            continue
        last = tag[1]
        if last == "TY" and fields:
            yield _of_ris(fields, f"{stream.name} line {start}")
            fields = {}
        if last == "ER":
            if fields:
                yield _of_ris(fields, f"{stream.name} line {start}")
            fields, last = {}, ""
            continue
        start = number if not fields else start
        fields.setdefault(last, []).append((tag[2] or "").strip())
    if fields:
        yield _of_ris(fields, f"{stream.name} line {start}")


def _of_ris(fields: dict[str, list[str]], where: str) -> Reference | Rejection:
    def first(*tags: str) -> str:
        return next((value for tag in tags for value in fields.get(tag, ()) if value), "")

    of_pubmed = bool(re.search(r"pubmed|medline|nlm", f"{first('DB')} {first('DP')}", re.I))
    pages = first("SP")
    if first("EP") and "-" not in pages:
        pages = f"{pages}-{first('EP')}"
    return _usable(
        _reference(
            where,
            pmid=_pmid(first("PMID"), first("AN") if of_pubmed else None)
            or _pmid(*(text for tag in ("UR", "N1", "ID", "C1") for text in fields.get(tag, ()) if not text.isdigit())),
            doi=next(
                (
                    text
                    for tag in ("DO", "DI", "M3", "UR", "L3", "N1")
                    for text in fields.get(tag, ())
                    if tidy_doi(text)
                ),
                "",
            ),
            pmcid=first("C2") if first("C2").upper().startswith("PMC") else "",
            title=first("TI", "T1", "CT", "BT"),
            year=_year(first("PY", "Y1", "DA", "Y2")),
            authors=tuple(fields.get("AU") or fields.get("A1") or ()),
            journal=first("JO", "JF", "T2", "JA", "J2"),
            volume=first("VL"),
            issue=first("IS"),
            pages=pages,
            abstract=first("AB", "N2"),
        )
    )


def _usable(reference: Reference) -> Reference | Rejection:
    if reference.title or reference.pmid or reference.doi or reference.pmcid:
        return reference
    return Rejection(reference.where, "has neither a title nor a PMID, DOI or PMCID")


# BibTeX ---------------------------------------------------------------------------------------------------------------

_BIBTEX_START = re.compile(r"^\s*@\s*\w+\s*[{(]", re.MULTILINE)
_ACCENTS = dict(
    zip(
        "`'^\"~=.uvHckrd",
        "\u0300\u0301\u0302\u0308\u0303\u0304\u0307\u0306\u030c\u030b\u0327\u0328\u030a\u0323",
        strict=True,
    )
)
_LETTERS = {"ss": "ß", "ae": "æ", "AE": "Æ", "oe": "œ", "OE": "Œ", "o": "ø", "O": "Ø", "l": "ł", "L": "Ł", "aa": "å",
            "AA": "Å", "i": "ı", "j": "ȷ", "th": "þ", "dh": "ð"}  # fmt: skip


def _read_bibtex(stream: ByteStream) -> Iterator[Reference | Rejection]:
    text = _whole(stream)
    number, counted = 1, 0
    for match in re.finditer(r"@\s*(\w+)\s*[{(]", text):
        if match[1].lower() in ("comment", "string", "preamble"):
            continue
        number += text.count("\n", counted, match.start())
        counted = match.start()
        where = f"{stream.name} line {number}"
        fields = _bibtex_fields(text, match.end())
        if fields is None:
            yield Rejection(where, "the entry is not closed")
            continue
        eprint = fields.get("eprint") if "pubmed" in fields.get("eprinttype", "").lower() else None
        yield _usable(
            _reference(
                where,
                pmid=_pmid(fields.get("pmid"), eprint)
                or _pmid(*(fields.get(name) for name in ("note", "url") if not fields.get(name, "").isdigit())),
                doi=fields.get("doi") or fields.get("url"),
                pmcid=fields.get("pmcid") or fields.get("pmc"),
                title=fields.get("title"),
                year=_year(fields.get("year") or fields.get("date")),
                authors=tuple(re.split(r"\s+and\s+", fields.get("author", ""))),
                journal=fields.get("journal") or fields.get("journaltitle") or fields.get("booktitle"),
                volume=fields.get("volume"),
                issue=fields.get("number") or fields.get("issue"),
                pages=re.sub("-+", "-", fields.get("pages", "")),
                abstract=fields.get("abstract"),
            )
        )


def _bibtex_fields(text: str, place: int) -> dict[str, str] | None:
    """Return the fields of the entry whose key begins at a place; None if it is not closed."""
    fields: dict[str, str] = {}
    name = re.compile(r"\s*([\w:+.-]+)\s*=\s*")
    end = re.compile(r"[^,{}()]*,?").match(text, place)
    place = end.end() if end else place
    while place < len(text):
        if found := name.match(text, place):
            value, place = _bibtex_value(text, found.end())
            fields.setdefault(found[1].lower(), value)
        elif text[place] in "})":
            return fields
        elif text[place] == "@":
            return None
        else:
            place += 1
    return None


def _bibtex_value(text: str, place: int) -> tuple[str, int]:
    """Return the value that begins at a place, and where it ends: parts in braces or quotes, or bare, joined by #."""
    parts = []
    while place < len(text):
        if text[place] in '{"':
            closing, depth, start = text[place], 0, place + 1
            place += 1
            while place < len(text) and not (depth == 0 and text[place] == ("}" if closing == "{" else '"')):
                depth += (text[place] == "{") - (text[place] == "}")
                place += 2 if text[place] == "\\" else 1
            parts.append(text[start:place])
            place += 1
        elif bare := re.compile(r"[^\s,{}#\"]+").match(text, place):
            parts.append(bare[0])
            place = bare.end()
        more = re.compile(r"\s*#\s*").match(text, place)
        if more is None:
            break
        place = more.end()
    return _without_tex("".join(parts)), place


def _without_tex(text: str) -> str:
    """Return the text of TeX: accents as letters, without braces and commands."""
    if "\\" in text:
        text = re.sub(r"\\([&%$#_{}])", r"\1", text)
        text = re.sub(r"\\([`'^\"~=.uvHckrd])\s*\{?\\?([A-Za-z])\}?", _accented, text)
        text = re.sub(
            r"\\(ss|ae|AE|oe|OE|aa|AA|th|dh|[oOlLij])(?![A-Za-z])\s?(?:\{\})?", lambda m: _LETTERS[m[1]], text
        )
        text = re.sub(r"\\[A-Za-z]+\s?", "", text)
    return re.sub(r"[{}$]", "", text.replace("~", " ")).strip()


def _accented(match: re.Match[str]) -> str:
    return unicodedata.normalize("NFC", match[2] + _ACCENTS[match[1]])


# CSL JSON, CSV, lists of identifiers ----------------------------------------------------------------------------------


def _is_csl(head: str) -> bool:
    """Whether JSON is CSL's: PubMed records of ours name an article by `pmid` and not by `PMID` or `id`."""
    return bool(re.search(r'"(?:DOI|PMID|container-title|issued|author)"\s*:', head)) and '"pmid"' not in head


def _read_csl(stream: ByteStream) -> Iterator[Reference | Rejection]:
    try:
        found = json.loads(_whole(stream))
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{stream.name}: not JSON, or cut off: {error}") from error
    entries = found.get("items", [found]) if isinstance(found, dict) else found
    for number, entry in enumerate(entries if isinstance(entries, list) else [], start=1):
        where = f"{stream.name} entry {number}"
        try:
            yield _usable(_of_csl(entry, where))
        except (AttributeError, TypeError, IndexError, ValueError) as error:
            yield Rejection(where, f"not an item of CSL JSON: {error}")


def _of_csl(entry: Any, where: str) -> Reference:
    people = entry.get("author") or []
    names = [
        ", ".join(filter(None, (person.get("family"), person.get("given")))) or person.get("literal", "")
        for person in people
    ]
    issued = entry.get("issued") or {}
    dates = issued.get("date-parts") or [[issued.get("raw") or issued.get("literal")]]
    return _reference(
        where,
        pmid=_pmid(str(entry.get("PMID") or ""), str(entry.get("note") or "")),
        doi=entry.get("DOI") or entry.get("URL"),
        pmcid=entry.get("PMCID"),
        title=entry.get("title"),
        year=_year(str(dates[0][0])),
        authors=tuple(names),
        journal=entry.get("container-title"),
        volume=entry.get("volume"),
        issue=entry.get("issue"),
        pages=entry.get("page"),
        abstract=entry.get("abstract"),
    )


_COLUMNS = {
    "pmid": ("pmid", "pubmed id", "pubmed_id", "pubmedid", "medline pmid", "pubmed"),
    "doi": ("doi", "di", "doi link"),
    "pmcid": ("pmcid", "pmc"),
    "title": ("title", "article title", "document title", "primary title", "ti"),
    "year": ("year", "publication year", "publication_year", "pub year", "date", "publication date", "py"),
    "authors": ("authors", "author", "author names", "author full names", "au"),
    "journal": ("journal", "source title", "journal/book", "publication title", "source", "journal title", "so"),
    "volume": ("volume", "vl"),
    "issue": ("issue", "is"),
    "pages": ("pages", "page", "page start", "start page", "first page", "pagination"),
    "abstract": ("abstract", "ab"),
}


def _table_columns(first: str) -> list[str]:
    """Return the cells of a first line that name columns of titles or identifiers; none if it names none of these."""
    delimiter = max(",;\t", key=first.count)
    names = [cell.strip(' "\ufeff\r').lower() for cell in first.split(delimiter)]
    known = {name for field in ("title", "doi", "pmid") for name in _COLUMNS[field]}
    return names if known.intersection(names) else []


def _read_csv(stream: ByteStream) -> Iterator[Reference | Rejection]:
    text = _whole(stream)
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    csv.field_size_limit(_LONGEST)
    reader = csv.DictReader(text.splitlines(keepends=True), delimiter=delimiter)
    try:
        for row in reader:
            cells = {str(key).strip(" \ufeff").lower(): value for key, value in row.items() if isinstance(value, str)}

            def cell(field: str, cells: dict[str, str] = cells) -> str:
                return next((cells[name] for name in _COLUMNS[field] if cells.get(name, "").strip()), "")

            names = cell("authors")
            people = re.split(r"\s*[;|]\s*", names) if re.search("[;|]", names) else _commas(names)
            where = f"{stream.name} line {reader.line_num}"
            fields: dict[str, Any] = {name: cell(name) for name in _TEXTS}
            yield _usable(
                _reference(
                    where, pmid=_pmid(cell("pmid")), doi=cell("doi"), pmcid=cell("pmcid"), year=_year(cell("year")),
                    authors=tuple(people), **fields,
                )
            )  # fmt: skip
    except csv.Error as error:
        raise SourceError(f"{stream.name} line {reader.line_num}: not a table: {error}") from error


def _commas(names: str) -> list[str]:
    """Return names that commas part (`Smith JA, Lee B`); one that a comma is part of (`Smith, John`) is one."""
    parts = [part.strip() for part in names.rstrip(". ").split(",")]
    return parts if all(" " in part for part in parts) else [names]


#: What stands above a list of identifiers.
_LIST_HEADS = ("pmid", "pmids", "doi", "dois", "id", "uid")


def _read_list(stream: ByteStream) -> Iterator[Reference | Rejection]:
    for number, line in lines(stream.pieces(), _LONGEST):
        text = (line or b"").decode("utf-8", "replace").strip(" \t\ufeff,;\"'")
        if not text or text.startswith("#") or (number == 1 and text.lower() in _LIST_HEADS):
            continue
        where = f"{stream.name} line {number}"
        yield _identified(text, where) or Rejection(where, f"{ascii(text[:60])} is not a PMID, DOI or PMCID")


def _identified(text: str, where: str) -> Reference | None:
    """Return the reference that an identifier alone is; None for any other text."""
    identifier = typed_identifier(text.strip(" \t\ufeff,;\"'\r"))
    if isinstance(identifier, int):
        return Reference(where=where, pmid=identifier)
    if identifier is None:
        return None
    is_pmcid = identifier.startswith("PMC")
    return Reference(where=where, pmcid=identifier if is_pmcid else "", doi="" if is_pmcid else identifier)


def _whole(stream: ByteStream) -> str:
    parts, size = [], 0
    for piece in stream.pieces():
        parts.append(piece)
        size += len(piece)
        if size > _MOST_BYTES:
            raise SourceError(f"{stream.name}: a list of references of over {_MOST_BYTES >> 20} MB; split it")
    return b"".join(parts).decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff")


def write_ris(reference: Reference) -> str:
    """Return a reference in RIS, which every reference manager and screening program reads."""
    first, _, last = reference.pages.partition("-")
    fields = [
        ("TY", "JOUR"),
        *(("AU", name) for name in reference.authors),
        ("TI", reference.title),
        ("T2", reference.journal),
        ("PY", str(reference.year or "")),
        ("VL", reference.volume),
        ("IS", reference.issue),
        ("SP", first),
        ("EP", last),
        ("DO", reference.doi),
        ("AN", str(reference.pmid or "")),
        ("DB", "PubMed" if reference.pmid else ""),
        ("C2", reference.pmcid),
        ("AB", reference.abstract),
    ]
    return "".join(f"{tag}  - {value}\n" for tag, value in fields if value) + "ER  - \n\n"
