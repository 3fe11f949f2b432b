"""MathML as text that a person can read in a line: `x^2`, `(a+b)/2`, `√(1-e^2)`, `PM2.5`, `V̇O2max`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

__all__ = ["math_text"]

#: Elements that carry no text of the formula: another notation of the same, or what is not drawn.
_SILENT = frozenset({"annotation", "annotation-xml", "mphantom", "malignmark", "maligngroup", "none", "mprescripts"})

#: Function application, invisible times, separator and plus: operators that are spoken but not drawn.
_INVISIBLE = dict.fromkeys(range(0x2061, 0x2065))

#: Accents over a letter, as the combining character that follows the letter.
_ACCENTS = {
    ".": "\u0307", "˙": "\u0307", "¨": "\u0308", "¯": "\u0304", "‾": "\u0304", "_": "\u0304", "\u0305": "\u0304",
    "^": "\u0302", "ˆ": "\u0302", "~": "\u0303", "˜": "\u0303", "→": "\u20d7", "ˇ": "\u030c", "˘": "\u0306",
    "´": "\u0301", "`": "\u0300", "\u0302": "\u0302", "\u0303": "\u0303", "\u0304": "\u0304", "\u0307": "\u0307",
}  # fmt: skip

#: An exponent that stands bare: a number, a name, or a charge such as `2+`.
_BARE = re.compile(r"[+\-−–]?[\w.,′]*", re.ASCII)
_MARK = re.compile(r"[′″‴'*∗†‡°∘+\-−–]+|\d+[+\-−–]")
_SIMPLE = re.compile(r"[\w.\u0300-\u036f]*")


def math_text(element: Any) -> str:
    """Return a MathML element as readable text, without the text that follows it."""
    name = _local_name(element)
    if name in _SILENT:
        return ""
    writer = _WRITERS.get(name)
    return writer(element) if writer else _row(element)


def _local_name(element: Any) -> str:
    return str(element.tag).rpartition("}")[2]


def _row(element: Any) -> str:
    """Return the element's own text and its children, one after the other; whitespace between them is not drawn."""
    return _drawn(element.text) + "".join(math_text(child) + _drawn(child.tail) for child in element)


def _drawn(text: str | None) -> str:
    return " ".join(text.split()).translate(_INVISIBLE) if text else ""


def _text(element: Any) -> str:
    """Return the text of an mtext, whose spaces are drawn."""
    own = re.sub(r"\s+", " ", element.text or "")
    return own + "".join(math_text(child) + re.sub(r"\s+", " ", child.tail or "") for child in element)


def _parts(element: Any, count: int) -> list[str]:
    """Return the children's texts, as many as the element should have."""
    texts = [math_text(child).strip() for child in element]
    return texts[:count] + [""] * (count - len(texts))


def _grouped(text: str) -> str:
    return text if _SIMPLE.fullmatch(text) else f"({text})"


def _raised(exponent: str) -> str:
    """Return an exponent as it follows its base: a charge or a prime as it is, all else after `^`."""
    if not exponent or _MARK.fullmatch(exponent):
        return exponent
    return f"^{exponent}" if _BARE.fullmatch(exponent) else f"^({exponent})"


def _superscript(element: Any) -> str:
    base, exponent = _parts(element, 2)
    return base + _raised(exponent)


def _sub_and_superscript(element: Any) -> str:
    base, index, exponent = _parts(element, 3)
    return base + index + _raised(exponent)


def _fraction(element: Any) -> str:
    numerator, denominator = _parts(element, 2)
    return f"{_grouped(numerator)}/{_grouped(denominator)}"


def _square_root(element: Any) -> str:
    return f"√({_row(element).strip()})"


def _root(element: Any) -> str:
    radicand, degree = _parts(element, 2)
    return f"{degree}√({radicand})"


def _over(element: Any) -> str:
    """Return the base with what stands over it: a letter's accent as a combining character."""
    base, over = _parts(element, 2)
    return base + _ACCENTS[over] if len(base) == 1 and over in _ACCENTS else base + over


def _fenced(element: Any) -> str:
    separators = "".join(element.get("separators", ",").split())
    texts = [math_text(child).strip() for child in element]
    inner = texts[0] if texts else ""
    for place, text in enumerate(texts[1:]):
        inner += separators[min(place, len(separators) - 1)] + text if separators else text
    return f"{element.get('open', '(')}{inner}{element.get('close', ')')}"


def _table(element: Any) -> str:
    """Return rows apart by `; ` and cells by `, `."""
    rows = ([math_text(cell).strip() for cell in row] for row in element)
    return "; ".join(", ".join(cells) for cells in rows)


def _with_prescripts(element: Any) -> str:
    """Return scripts before the base first, as in `129Xe`."""
    base, after, before, ahead = "", "", "", False
    for place, child in enumerate(element):
        if place == 0:
            base = math_text(child).strip()
        elif _local_name(child) == "mprescripts":
            ahead = True
        elif ahead:
            before += math_text(child).strip()
        else:
            after += math_text(child).strip()
    return before + base + after


def _first_child(element: Any) -> str:
    """Return the presentation of a formula that is given in several notations."""
    return math_text(element[0]) if len(element) else _row(element)


def _space(_: Any) -> str:
    return " "


_WRITERS: dict[str, Callable[[Any], str]] = {
    "mtext": _text,
    "mspace": _space,
    "msup": _superscript,
    "msubsup": _sub_and_superscript,
    "mfrac": _fraction,
    "msqrt": _square_root,
    "mroot": _root,
    "mover": _over,
    "mfenced": _fenced,
    "mtable": _table,
    "mmultiscripts": _with_prescripts,
    "semantics": _first_child,
}
