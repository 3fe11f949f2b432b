"""Regular expressions that are compiled when they are first used, for modules that are imported far more often."""

from __future__ import annotations

import re
from typing import Any, cast

__all__ = ["lazy_pattern"]


def lazy_pattern(text: str, flags: int = 0) -> re.Pattern[str]:
    """Return what serves as `re.compile(text, flags)`, which is called with the first attribute that is used.

    >>> lazy_pattern("a+").sub("b", "caat")
    'cbt'
    """
    return cast("re.Pattern[str]", _LazyPattern(text, flags))


class _LazyPattern:
    def __init__(self, text: str, flags: int) -> None:
        self._text, self._flags = text, flags

    def __getattr__(self, name: str) -> Any:
        # `re` keeps what it has compiled; the attribute is kept here, so that it is looked up once.
        value = getattr(re.compile(self._text, self._flags), name)
        self.__dict__[name] = value
        return value
