"""The notices that every output shows with an article: retracted, corrected, in doubt, not a real study."""

from __future__ import annotations

from typing import Literal, NamedTuple

from search.article import NOTICE_KINDS, Article
from search.normalize import clean

__all__ = ["NOTICES", "SAMPLE", "Notice", "NoticeKind", "Severity", "notice_labels", "notices_of"]

#: How a notice is shown: `danger` (the article must not be relied on), `warning`, `info`.
Severity = Literal["danger", "warning", "info"]


class NoticeKind(NamedTuple):
    """What a kind of notice is called, and how grave it is."""

    label: str
    severity: Severity


#: The kinds of notices by NLM's name of the correction (RefType), the gravest first.
NOTICES: dict[str, NoticeKind] = dict(
    zip(
        NOTICE_KINDS,
        (
            NoticeKind("retracted", "danger"),
            NoticeKind("retracted and republished", "danger"),
            NoticeKind("partially retracted", "warning"),
            NoticeKind("expression of concern", "warning"),
            NoticeKind("corrected and republished", "warning"),
            NoticeKind("erratum", "info"),
            NoticeKind("updated", "info"),
        ),
        strict=True,
    )
)


class Notice(NamedTuple):
    """Something a reader must know before using an article, with the citation and the PMID of the notice itself."""

    label: str
    severity: Severity
    citation: str = ""
    pmid: int | None = None

    def __str__(self) -> str:
        """Return `RETRACTED: Lancet. 2010;375:445. PMID 20137807`: the label in capitals, then where to read more."""
        number = "" if self.pmid is None else f"PMID {self.pmid}"
        source = " ".join(part for part in (self.citation, number) if part)
        return f"{self.label.upper()}: {source}" if source else self.label.upper()


def notices_of(article: Article) -> list[Notice]:
    """Return the notices of an article in the order in which they are shown, the gravest first."""
    notices = []
    corrections = article.notices
    if article.is_retracted and not any(correction.kind == "RetractionIn" for correction in corrections):
        notices.append(Notice(*NOTICES["RetractionIn"]))
    for correction in corrections:
        notices.append(Notice(*NOTICES[correction.kind], clean(correction.citation), correction.pmid))
    return [*notices, SAMPLE] if article.is_sample else notices


def notice_labels(article: Article) -> list[str]:
    """Return the labels of an article's notices, each once: `retracted`, `erratum`, `not a real study`, ..."""
    return list(dict.fromkeys(notice.label for notice in notices_of(article)))


#: The notice of an invented record.
SAMPLE = Notice("not a real study", "info", "this record was written to show how the software works.")
