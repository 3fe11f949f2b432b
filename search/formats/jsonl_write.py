"""JSON lines: the whole article, one a line, which `search.article.from_json` reads back unchanged."""

from __future__ import annotations

import msgspec

from search.article import Article, to_json
from search.errors import ExportError
from search.normalize import escaped
from search.presentation.notices import notices_of

__all__ = ["render"]


def render(article: Article) -> str:
    r"""Return the article as one line of JSON, control characters as `\u` escapes.

    An article that needs a mark (retracted, corrected, no real study) has one more key, `marks`, which readers of
    articles pass over. Raises ExportError where a text holds half a surrogate pair, which JSON in UTF-8 cannot say.
    """
    try:
        line = to_json(article).decode()
    except UnicodeEncodeError as error:
        raise ExportError(f"PMID {article.pmid} cannot be written as JSON: {error}") from error
    notices = [str(notice) for notice in notices_of(article)]
    if notices:
        line = line[:-1] + ',"marks":' + msgspec.json.encode(notices).decode() + "}"
    return escaped(line) + "\n"
