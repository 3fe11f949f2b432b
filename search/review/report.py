"""What a review says of its search: the methods paragraph, PRISMA-S items, the flow's numbers, the strategy by line."""

from __future__ import annotations

import msgspec

from search.retrieval.saved_searches import Run, SavedSearch
from search.review.dedupe import Deduplication

__all__ = ["search_report"]


def search_report(saved: SavedSearch, index_name: str, version: str, others: Deduplication | None = None) -> str:
    """Return the report of a saved search in Markdown, which reads as plain text too.

    `version` is that of the program, `others` are the references of other databases with what was left out of them as
    duplicates; their numbers are part of the flow then. Only what the program knows is said: what is left to the
    authors is in square brackets.
    """
    if not saved.runs:
        return f"# Report of the search {saved.name}\n\nIt was never run.\n"
    first, last = saved.runs[0], saved.runs[-1]
    parts = [
        f"# Report of the search {saved.name}",
        "## Methods",
        _paragraph(saved, first, last, version),
        "## Strategy",
        _strategy(saved, last),
        "## Numbers for the PRISMA flow diagram",
        _flow(saved, others),
        "## PRISMA-S items",
        _items(saved, index_name, first, last, others),
        "## Runs",
        _runs(saved),
    ]
    return "\n\n".join(parts) + "\n"


def _paragraph(saved: SavedSearch, first: Run, last: Run, version: str) -> str:
    times = "once" if len(saved.runs) == 2 else f"{len(saved.runs) - 1:,} times"
    again = (
        f" It was run again {times}, the last time on {_day(last)} on {last.articles:,} records."
        if len(saved.runs) > 1
        else ""
    )
    how = {"semantic": "by meaning", "lexical": "by words (BM25)", "hybrid": "by meaning and words"}[saved.mode]
    question = f'the question "{saved.question}"' if saved.question else "no question"
    selected = (
        f"A search strategy in PubMed's query language selected {last.passing:,} of them, which were"
        if saved.filters.strategy
        else f"{last.passing:,} passed the filters and were"
        if not saved.filters.is_empty
        else "They were"
    )
    return (
        f"PubMed records were searched with PubMed semantic search {version} on {_day(first)}. The index held "
        f"{first.articles:,} records. {selected} ranked {how} for {question}; the first {saved.limit:,} were taken."
        f"{' The question was expanded with words of its first answers.' if saved.feedback else ''} Texts were encoded "
        f"with the model {last.model} ({last.fingerprint[:12]}), of title and abstract ({last.text_rule}).{again}"
    )


def _strategy(saved: SavedSearch, last: Run) -> str:
    lines = []
    if last.lines:
        width = len(f"{max(line.count for line in last.lines):,}")
        lines += [f"    #{line.number}  {line.count:>{width},}  {line.text}" for line in last.lines]
    elif saved.filters.strategy:
        lines += [f"    {line}" for line in saved.filters.strategy.splitlines()]
    filters = msgspec.structs.replace(saved.filters, strategy=None)
    lines += [f"    Question: {saved.question}"] if saved.question else []
    if not filters.is_empty:
        lines.append(f"    Filters: {msgspec.json.encode(filters).decode()}")
    return "\n".join(lines) or "    [none]"


def _flow(saved: SavedSearch, others: Deduplication | None) -> str:
    found = len(saved.found)
    rows = [(f"Records identified by the search {saved.name}", found)]
    removed = 0
    if others is not None:
        rows += [(f"Records identified in {name}", count) for name, count in others.identified.items()]
        removed = len(others.duplicates)
        rows.append(("Duplicates removed before screening", removed))
        rows += [(f"  of these, from {name}", count) for name, count in others.removed.items() if count]
        if others.versions:
            rows.append(("Preprints whose published version is there too (both kept)", len(others.versions)))
        found += sum(others.identified.values())
    rows.append(("Records to screen", found - removed))
    retracted = len(saved.runs[-1].retracted)
    if retracted:
        rows.append(("  of these found by the search, retracted", retracted))
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"    {name:<{width}}  {count:,}" for name, count in rows)


def _items(saved: SavedSearch, index_name: str, first: Run, last: Run, others: Deduplication | None) -> str:
    limits = "none" if saved.filters.is_empty else "see Strategy"
    files = ", ".join(others.identified) if others is not None else "[other databases]"
    items = (
        ("1. Database name", f"PubMed (NLM), records kept in {index_name}"),
        ("2. Multi-database searching", files),
        ("3. Study registries", "[authors]"),
        ("4. Online resources and browsing", "[authors]"),
        ("5. Citation searching", "[authors; `search snowball` follows citations both ways]"),
        ("6. Contacts", "[authors]"),
        ("7. Other methods", "[authors]"),
        ("8. Full search strategies", "see Strategy, copied as it was run"),
        ("9. Limits and restrictions", limits),
        ("10. Search filters", "none but those of the strategy"),
        ("11. Prior work", "[authors]"),
        ("12. Updates", f"{len(saved.runs) - 1:,} after the first run; see Runs"),
        ("13. Dates of searches", f"{_day(first)}" if first is last else f"{_day(first)} to {_day(last)}"),
        ("14. Peer review", "[authors]"),
        ("15. Total records", "see Numbers for the PRISMA flow diagram"),
        ("16. Deduplication", _deduplication(others)),
    )
    return "\n".join(f"- {name}: {told}" for name, told in items)


def _deduplication(others: Deduplication | None) -> str:
    own = "hits of the same DOI, or the same title and year, were shown once"
    if others is None:
        return own
    return (
        f"{own}; references of other databases were compared by PMID, DOI, PMCID, and title with year, first author, "
        f"volume and page (`search dedupe`): {len(others.duplicates):,} removed"
    )


def _runs(saved: SavedSearch) -> str:
    return "\n".join(
        f"- {number}. {run.time}: {run.articles:,} records (change {run.change}), {run.passing:,} selected, "
        f"{run.new:,} {'new' if run.since is not None else 'shown'}, {len(run.newly_retracted):,} newly retracted"
        for number, run in enumerate(saved.runs, start=1)
    )


def _day(run: Run) -> str:
    return run.time[:10]
