"""Characters that nobody sees, and the one form of those that have several."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["composed", "spaced", "visible", "without_accents"]

# Soft hyphens, zero-width spaces and joiners, marks of direction, invisible operators, variation selectors, tags.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\U000e0000-\U000e0fff]"
)

_ASCII_WORDS = bytes(code if bytes([code]).isalnum() else 32 for code in range(256))


def spaced(text: str) -> str:
    """Return the text with each character that is not an ASCII letter or digit as a space, ready to be split."""
    return text.encode("ascii", "replace").translate(_ASCII_WORDS).decode("ascii")


def composed(text: str) -> str:
    """Return the text in Unicode's composed form (NFC), in which a letter and its accent are one character."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def visible(text: str) -> str:
    """Return the text in composed form without invisible characters, as it is searched."""
    return text if text.isascii() else _INVISIBLE.sub("", unicodedata.normalize("NFC", text))


def without_accents(text: str) -> str:
    """Return the text without accents and invisible characters: `Sjögren` is `Sjogren`."""
    if text.isascii():
        return text
    plain = unicodedata.normalize("NFKD", _INVISIBLE.sub("", text))
    return "".join(character for character in plain if not unicodedata.combining(character))
