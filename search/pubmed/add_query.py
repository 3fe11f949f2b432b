"""Adding what a query to PubMed finds."""

from __future__ import annotations

from collections.abc import Callable

from search.ingest.pipeline import Encodes, IngestReport, Pipeline
from search.ingest.run_progress import Progress
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

    A page is noted as done after it was committed. The same query given again after an interruption resumes with what
    is not done; after a run that ended it fetches everything again. Raises QueryError if the query is empty,
    SourceError if NCBI does not answer; what was committed stays.
    """
    ledger = writer.ledger
    number, done = ledger.begin_query(query) if query.strip() else (0, set())
    with Pipeline(writer, encoder, progress=progress) as pipeline:
        report = pipeline.report
        for page in pages(eutils, query, limit, done):
            report.notes.extend(page.notes)
            if page.incomplete:
                report.errors.append(page.incomplete)
            pipeline.add(page.records, "PubMed", share=(page.fraction, 0.0))
            if page.pmids:
                ledger.note_done(number, page.pmids)
    ledger.finish_query(number)
    report.merged |= writer.merge_if_due(last=True)
    if done:
        report.counts["fetched before the interruption"] = len(done)
    return report
