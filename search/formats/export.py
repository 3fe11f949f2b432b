"""Writing articles in the formats that other tools read."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, TextIO

import msgspec

from search.article import Article
from search.errors import ExportError
from search.formats import bibtex, csl, csv, jsonl, markdown, ris, styled_citation
from search.formats.medline import write as nbib

__all__ = ["FORMATS", "Format", "render", "write"]


class Format(NamedTuple):
    """A format: its title, the ending and the media type of its files, and how one article is written in it."""

    title: str
    suffix: str
    media_type: str
    render: Callable[..., str]
    header: str = ""
    separator: str = ""
    footer: str = ""
    numbered: bool = False
    styled: bool = False


#: The formats by name.
FORMATS: dict[str, Format] = {
    "ris": Format(
        "RIS, for reference managers and review tools", ".ris", "application/x-research-info-systems", ris.render
    ),
    "bibtex": Format("BibTeX, for LaTeX", ".bib", "application/x-bibtex", bibtex.render),
    "nbib": Format("MEDLINE text, as PubMed writes it", ".nbib", "application/nbib", nbib.render),
    "csv": Format("CSV, for spreadsheets", ".csv", "text/csv", csv.render, header=csv.header()),
    "jsonl": Format("JSON lines, with every field of the record", ".jsonl", "application/jsonl", jsonl.render),
    "csl": Format(
        "CSL JSON, for Zotero, Pandoc and citeproc",
        ".json",
        "application/vnd.citationstyles.csl+json",
        csl.render,
        header="[\n",
        separator=",\n",
        footer="\n]\n",
    ),
    "citation": Format("Citations in a style, one a line", ".txt", "text/plain", styled_citation.render, styled=True),
    "markdown": Format("Markdown, a list to read", ".md", "text/markdown", markdown.render, numbered=True),
}


def render(article: Article, format: str) -> str:
    """Return one article in the format, without what heads a file of them.

    Raises ExportError if there is no such format.
    """
    return _find(format).render(article)


def write(
    articles: Iterable[Article],
    stream: TextIO,
    format: str,
    *,
    abstracts: bool = True,
    byte_order_mark: bool = False,
    style: str = "nlm",
    quotes: Mapping[int, Sequence[str]] | None = None,
) -> int:
    """Write the articles to the stream, one at a time as they come, and return how many there were.

    The stream must take UTF-8. `abstracts=False` leaves the abstracts out. `byte_order_mark=True` begins the file with
    U+FEFF, from which Excel recognises UTF-8. `style` is the style of citations: nlm, vancouver, ama or apa.
    `quotes` are sentences by PMID that stand out in Markdown.
    Raises ExportError if there is no such format or style or the stream refuses; BrokenPipeError passes, for a reader
    that has had enough does not make the export fail.
    """
    chosen = _find(format)
    count = 0
    try:
        stream.write("\ufeff" * byte_order_mark + chosen.header)
        for count, article in enumerate(articles, 1):
            shown = article if abstracts else msgspec.structs.replace(article, abstract=(), other_abstracts=())
            quoted = (quotes or {}).get(article.pmid, ())
            extra = (count, quoted) if chosen.numbered else (style,) if chosen.styled else ()
            stream.write(chosen.separator * (count > 1) + chosen.render(shown, *extra))
        stream.write(chosen.footer)
    except BrokenPipeError:
        raise
    except UnicodeEncodeError as error:
        raise ExportError(
            f"the output takes {error.encoding}, which lacks {error.object[error.start]!r}: use UTF-8"
        ) from error
    except OSError as error:
        raise ExportError(f"cannot write the output after {count:,} articles: {error.strerror or error}") from error
    return count


def _find(format: str) -> Format:
    if format not in FORMATS:
        nearest = difflib.get_close_matches(format, FORMATS, n=1)
        hint = f"did you mean {nearest[0]}? " if nearest else ""
        raise ExportError(f"no format {format!r}: {hint}There are {', '.join(FORMATS)}")
    return FORMATS[format]
