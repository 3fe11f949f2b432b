"""The notices that every output shows with an article: retracted, corrected, in doubt, not a real study."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from search.article import NOTICE_KINDS, RETRACTION_WATCH, Article, Correction
from search.normalize import MONTHS, clean

__all__ = [
    "NOTICES",
    "SAMPLE",
    "Notice",
    "NoticeKind",
    "Severity",
    "is_about",
    "notice_date",
    "notice_labels",
    "notices_of",
]

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
            NoticeKind("retracted since it was found", "danger"),
            NoticeKind("retracted and republished", "danger"),
            NoticeKind("partially retracted", "warning"),
            NoticeKind("expression of concern", "warning"),
            NoticeKind("corrected and republished", "warning"),
            NoticeKind("cites retracted work", "warning"),
            NoticeKind("erratum", "info"),
            NoticeKind("updated", "info"),
            NoticeKind("notice of a retraction", "info"),
            NoticeKind("notice of a partial retraction", "info"),
            NoticeKind("notice of concern", "info"),
            NoticeKind("notice of an erratum", "info"),
        ),
        strict=True,
    )
)


class Notice(NamedTuple):
    """Something a reader must know before using an article, with the citation and the PMID of the notice itself.

    Of an article that is itself a notice, or that cites retracted work, they are those of the other article.
    """

    label: str
    severity: Severity
    citation: str = ""
    pmid: int | None = None
    note: str = ""

    def __str__(self) -> str:
        """Return `RETRACTED: Lancet. 2010;375:445. PMID 20137807`: the label in capitals, then where to read more."""
        return f"{self.label.upper()}: {self.source}" if self.source else self.label.upper()

    @property
    def source(self) -> str:
        """Where to read more: `Lancet. 2010;375:445. PMID 20137807`, and the note; empty if nothing says it."""
        number = "" if self.pmid is None or f"PMID {self.pmid}" in self.citation else f"PMID {self.pmid}"
        return " ".join(part for part in (self.citation, number, f"({self.note})" if self.note else "") if part)


def notices_of(article: Article) -> list[Notice]:
    """Return the notices of an article in the order in which they are shown, the gravest first."""
    notices = []
    corrections = article.notices
    if article.is_retracted and not any(correction.kind == "RetractionIn" for correction in corrections):
        notices.append(Notice(*NOTICES["RetractionIn"]))
    for correction in corrections:
        # Of notes only those on why are shown: NLM's own say what is in the citation.
        note = clean(correction.note)
        told = note[note.find(RETRACTION_WATCH) :] if RETRACTION_WATCH in note else ""
        notices.append(Notice(*NOTICES[correction.kind], clean(correction.citation), correction.pmid, told))
    return [*notices, SAMPLE] if article.is_sample else notices


_DATE = re.compile(rf"\b((?:18|19|20)\d\d)(?:-(\d\d)-(\d\d)|[ ]({'|'.join(MONTHS)})(?:[ ](\d{{1,2}}))?)?(?!\d)")


def notice_date(correction: Correction) -> str | None:
    """Return when a notice appeared, as its citation or Retraction Watch says: `2010-02-06`, `2010-02` or `2010`."""
    match = _DATE.search(correction.citation or "") or _DATE.search(correction.note or "")
    if match is None:
        return None
    year, month, day, name, number = match.groups()
    if name:
        month, day = f"{MONTHS.index(name) + 1:02d}", f"{int(number):02d}" if number else None
    return "-".join(part for part in (year, month, day) if part)


def is_about(kind: str) -> bool:
    """Whether a kind of correction says that the article is itself a notice about another one."""
    return kind.endswith(("Of", "For"))


def notice_labels(article: Article) -> list[str]:
    """Return the labels of an article's notices, each once: `retracted`, `erratum`, `not a real study`, ..."""
    return list(dict.fromkeys(notice.label for notice in notices_of(article)))


#: The notice of an invented record.
SAMPLE = Notice("not a real study", "info", "this record was written to show how the software works.")
