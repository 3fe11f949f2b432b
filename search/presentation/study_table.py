"""Hits as a table of studies: one row an article, with its design, sample size, finding, year and citation."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from search.article import Article
from search.formats.csv import defuse, line
from search.formats.markdown import escape
from search.presentation.citation import citation
from search.presentation.notices import notice_labels
from search.retrieval.hit import Hit
from search.study import design_of, registry_numbers, sample_size

__all__ = ["StudyRow", "csv_table", "markdown_table", "study_label", "study_rows"]

_HEADS = ("Design", "n", "Finding", "Year", "Article")


class StudyRow(msgspec.Struct, frozen=True, kw_only=True):
    """A study as a row: what is not known is None; `finding` is a quotation, led by its section."""

    pmid: int
    design: str | None
    sample_size: int | None
    finding: str | None
    year: int | None
    notices: list[str]
    citation: str


def study_label(article: Article) -> str:
    """Return what kind of study an article reports, in a few words: `randomized trial, n = 80, NCT01234567`.

    >>> study_label(Article(pmid=1, title="Aspirin: a cohort study"))
    'cohort'
    """
    design, size = design_of(article), sample_size(article)
    return ", ".join([*([design] if design else []), *([f"n = {size:,}"] if size else []), *registry_numbers(article)])


def study_rows(hits: Sequence[Hit]) -> list[StudyRow]:
    """Return the rows of hits that were found with evidence, in their order."""
    return [
        StudyRow(
            pmid=hit.pmid,
            design=design_of(hit.article),
            sample_size=sample_size(hit.article),
            finding=f"{hit.evidence[0].section}: {hit.evidence[0].text}" if hit.evidence else None,
            year=hit.article.year,
            notices=notice_labels(hit.article),
            citation=citation(hit.article),
        )
        for hit in hits
    ]


def markdown_table(rows: Sequence[StudyRow]) -> str:
    """Return the rows as a table in Markdown."""
    lines = [f"| {' | '.join(_HEADS)} |", f"|{'---|' * len(_HEADS)}"]
    lines += [f"| {' | '.join(escape(_shown(value)) for value in _cells(row))} |" for row in rows]
    return "\n".join(lines) + "\n"


def csv_table(rows: Sequence[StudyRow]) -> str:
    """Return the rows as CSV with a line of names; no cell is ever read as a formula."""
    names = StudyRow.__struct_fields__
    return line(names) + "".join(line(_cell(getattr(row, name)) for name in names) for row in rows)


def _cell(value: int | str | list[str] | None) -> int | str:
    return value if isinstance(value, int) else defuse("; ".join(value) if isinstance(value, list) else _shown(value))


def _cells(row: StudyRow) -> tuple[object, ...]:
    return row.design, row.sample_size, row.finding, row.year, row.citation


def _shown(value: object) -> str:
    return "" if value is None else str(value)
