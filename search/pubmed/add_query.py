"""Adding what a query to PubMed finds."""

from __future__ import annotations

from collections.abc import Callable

from search.ingest.pipeline import Encodes, IngestReport, Progress, Run
from search.pubmed.eutils import Eutils, pages
from search.storage.backend import Writer

__all__ = ["add_query"]


def add_query(
    writer: Writer,
    encoder: Encodes | None,
    eutils: Eutils,
    query: str,
    *,
    limit: int | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> IngestReport:
    """Add the records that PubMed finds for a query, `limit` of them at most, page by page.

    A page is noted as done after it was committed. The same query given again after an interruption goes on with what
    is not done; after a run that came to its end it asks for everything anew. Raises QueryError if the query is
    empty, SourceError if NCBI does not answer; what was committed stays.
    """
    ledger = writer.ledger
    run = Run(writer, encoder)
    number, done = ledger.begin_query(query) if query.strip() else (0, set())
    for page in pages(eutils, query, limit, done):
        run.report.notes.extend(page.notes)
        if page.incomplete:
            run.report.errors.append(page.incomplete)
        run.progress = _at(progress, page.fraction)
        run.records(page.records, "PubMed")
        if page.pmids:
            ledger.note_done(number, page.pmids)
    ledger.finish_query(number)
    if done:
        run.report.counts["fetched before the interruption"] = len(done)
    return run.report


def _at(progress: Callable[[Progress], None] | None, fraction: float) -> Callable[[Progress], None]:
    def update(state: Progress) -> None:
        if progress is not None:
            state.fraction = fraction
            progress(state)

    return update
