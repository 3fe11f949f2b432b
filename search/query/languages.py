"""NLM's language codes and the names and other codes by which people ask for them."""

from __future__ import annotations

import difflib

from search.errors import QueryError

__all__ = ["language_code"]

# NLM's code, then whatever else is understood: ISO 639-1, ISO 639-2/T where it differs, the English name.
_TABLE = """
afr af afrikaans; alb sq sqi albanian; ara ar arabic; arm hy hye armenian; aze az azerbaijani; baq eu eus basque;
bos bs bosnian; bul bg bulgarian; cat ca catalan; chi zh zho chinese; cze cs ces czech; dan da danish; dut nl nld
dutch; eng en english; epo eo esperanto; est et estonian; fin fi finnish; fre fr fra french; geo ka kat georgian;
ger de deu german; gle ga irish; glg gl galician; gre el ell greek; heb he hebrew; hin hi hindi; hrv hr scr
croatian; hun hu hungarian; ice is isl icelandic; ind id indonesian; ita it italian; jpn ja japanese; kaz kk kazakh;
kor ko korean; lat la latin; lav lv latvian; lit lt lithuanian; mac mk mkd macedonian; may ms msa malay; nor no
norwegian; per fa fas persian; pol pl polish; por pt portuguese; rum ro ron romanian; rus ru russian; slo sk slk
slovak; slv sl slovenian; spa es spanish; srp sr scc serbian; swe sv swedish; tha th thai; tur tr turkish; ukr uk
ukrainian; uzb uz uzbek; vie vi vietnamese; wel cy cym welsh; mul multiple; und undetermined
"""

_CODES = {name: names[0] for names in map(str.split, _TABLE.split(";")) for name in names}


def language_code(name: str) -> str:
    """Return NLM's code of a language given by a code or its English name: `English`, `en` and `eng` are `eng`.

    A code of three letters that is not known passes as it is. Raises QueryError for any other name.
    """
    key = " ".join(name.casefold().split())
    if key in _CODES:
        return _CODES[key]
    if len(key) == 3 and key.isascii() and key.isalpha():
        return key
    nearest = difflib.get_close_matches(key, _CODES, n=1)
    hint = f"did you mean {nearest[0]!r}?" if nearest else "give its English name or NLM's code, such as eng"
    raise QueryError(f"no language {name!r}: {hint}")
