"""The text of XML content as a reader sees it: all of it, inline markup taken off, whitespace made even."""

from __future__ import annotations

import re
from typing import Any

from lxml import etree

from search.characters import composed
from search.formats.pubmed_xml.element_table import ElementTable, NotPlainError, Rows, with_characters
from search.formats.pubmed_xml.mathml import math_text

__all__ = ["contents_as_names", "contents_as_texts", "framed", "new_parser", "text_of", "tidy"]

_RAISED = re.compile(rb"<sup>\s*([^<]{1,40}?)\s*</sup>")
_EXPONENT = re.compile(rb"(?:[+-]|\xe2\x88\x92|\xe2\x80\x93)?\d+(?:(?:\.|-|\xe2\x80\x93)\d+)?|n")
_NUMBERS = re.compile(rb"\d+((?:\s*(?:,|-|\xe2\x80\x93)\s*\d+)*)")
_BEFORE_MARK = re.compile(rb"[a-z]{4}$|[.,:]$")
_BEFORE_MARKS = re.compile(rb"[\w.,:)\]]$")
#: Markup that leaves no mark in plain text.
_INLINE_TAG = re.compile(rb"</?(?:i|b|u|sub|sup)>")
_FRAME = (
    b'<frame xmlns:mml="http://www.w3.org/1998/Math/MathML" xmlns:xlink="http://www.w3.org/1999/xlink" '
    b'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">%b</frame>'
)


def new_parser() -> Any:
    """Return an XML parser that reads nothing but what it is given: no DTD, no entity, no network, no huge node."""
    return etree.XMLParser(
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
        collect_ids=False,
    )


def framed(content: bytes) -> bytes:
    """Return content in an element of its own that declares the prefixes which NLM's DTD declares for a whole file."""
    return _FRAME % content


def tidy(text: str) -> str:
    """Return the text, composed, with every run of whitespace, no-break and thin spaces too, as one space, none around.

    Most texts have nothing to make even, and looking for it is cheaper than taking the text apart. XML allows three
    control characters in ASCII; in other texts, whitespace but the plain space is what is not printable.
    """
    text = composed(text.strip())
    if "  " not in text:
        if text.isascii():
            if "\n" not in text and "\t" not in text and "\r" not in text:
                return text
        elif text.isprintable():
            return text
    return " ".join(text.split())


def contents_as_texts(table: ElementTable, rows: Rows) -> list[str]:
    """Return the text of each element."""
    contents = table.contents(rows)
    mixed = table.have_children(rows)
    if mixed is None:
        return list(map(_plain_text, contents))
    return [
        _mixed_text(content) if holds_elements else _plain_text(content)
        for content, holds_elements in zip(contents, mixed.tolist(), strict=True)
    ]


def contents_as_names(table: ElementTable, rows: Rows) -> list[str]:
    """Return the text of each element, as `contents_as_texts` does, but faster where the texts are short.

    They are joined, made even as one text, and split again.
    """
    if not len(rows):
        return []
    if table.have_children(rows) is not None:
        return contents_as_texts(table, rows)
    text = with_characters(b"\0".join(table.contents(rows)).decode())
    text = composed(text)
    if not text.isascii() or any(space in text for space in ("  ", "\n", "\t", "\r", " \0", "\0 ")):
        text = " ".join(text.split()).replace(" \0", "\0").replace("\0 ", "\0")
    names = text.strip().split("\0")
    if len(names) != len(rows):
        raise NotPlainError("a NUL character")
    return names


def _plain_text(content: bytes) -> str:
    return tidy(with_characters(content.decode()))


def _mixed_text(content: bytes) -> str:
    """Return the text of content with elements in it, formulas as readable text."""
    content = _RAISED.sub(_raised, content)
    bare = _INLINE_TAG.sub(b"", content)
    if b"<" not in bare:
        return _plain_text(bare)
    try:
        element = etree.fromstring(framed(content), new_parser())
    except etree.XMLSyntaxError as error:
        raise NotPlainError(str(error)) from error
    return text_of(element)


def _raised(match: re.Match[bytes]) -> bytes:
    """Return a raised number as text: after a digit as `^6`, as formulas have it; a mark of a citation after a space.

    Numbers mark citations after a word, or where there are several. All else loses its markup only.
    """
    number, before = match[1], match.string[max(match.start() - 4, 0) : match.start()]
    if before[-1:].isdigit() and _EXPONENT.fullmatch(number):
        return b"^" + number + b" " * match.string[match.end() : match.end() + 1].isdigit()
    numbers = _NUMBERS.fullmatch(number)
    if numbers and (_BEFORE_MARK.search(before) or (numbers[1] and _BEFORE_MARKS.search(before))):
        return b" " + number
    return match[0]


def text_of(element: Any) -> str:
    """Return all text in an element of the parser, formulas as readable text; empty if there is none."""
    parts: list[str] = []
    _collect(element, parts)
    return tidy("".join(parts))


def _collect(element: Any, parts: list[str]) -> None:
    parts.append(element.text or "")
    for child in element:
        name = child.tag.rpartition("}")[2]
        if name == "math":
            parts.append(math_text(child))
        elif name == "DispFormula":
            # A displayed formula gets its own line.
            parts.append(" ")
            _collect(child, parts)
            parts.append(" ")
        else:
            _collect(child, parts)
        parts.append(child.tail or "")
