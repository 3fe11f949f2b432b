"""A hit as a short block of text: title, source, what kind of article it is, evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from search.cli.screen import badge, badge_style, console, plain, print_wrapped
from search.presentation.citation import author_names
from search.presentation.hit_record import explanation, study_type
from search.presentation.notices import notices_of
from search.presentation.study_table import study_label
from search.retrieval.findings import Findings
from search.retrieval.hit import Hit

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

__all__ = ["print_findings", "print_hits"]

_AUTHORS = 2


def print_hits(question: str | None, hits: list[Hit], *, headed: bool, explain: bool, count: str = "") -> None:
    """Print the hits of a search, a block each, below the count of the articles that there are.

    `headed` puts the question above them.
    """
    from rich.text import Text

    screen = console()
    if headed and question is not None:
        print_wrapped(screen, Text(plain(question), style="bold"), 0)
    if not hits:
        screen.print("nothing found")
    elif hits[0].changes:
        also = ", ".join(map(str, hits[0].changes))
        print_wrapped(screen, Text(plain(f"also searched: {also}; --exact searches only what was typed"), "yellow"), 0)
        screen.print()
    if hits and not any(hit.near_enough for hit in hits):
        screen.print("nothing is near enough to the question; --min-score -1 lists the nearest anyway")
        return
    if hits and count:
        print_wrapped(screen, Text(count, style="dim"), 0)
        screen.print()
    for hit in hits:
        _print_hit(screen, hit, question if explain else None, indent=len(str(hits[-1].rank)) + 2)


def print_findings(found: Findings) -> None:
    """Print findings, a block for each group, and the citations of their articles below."""
    from rich.text import Text

    screen = console()
    if not found.groups:
        screen.print("nothing near enough was found")
    for group in found.groups:
        for finding in group:
            quote = Text(f"\u201c{plain(finding.text)}\u201d ", style="green")
            size = f"n = {finding.sample_size:,}" if finding.sample_size else ""
            study = ", ".join(part for part in (finding.design, size, str(finding.year or "")) if part)
            warned = f"[{'; '.join(finding.warnings).upper()}] " if finding.warnings else ""
            print_wrapped(screen, Text.assemble((warned, "red"), quote, (study, "dim")), 5, f"[{finding.number}]")
        screen.print()
    for finding in (finding for group in found.groups for finding in group):
        print_wrapped(screen, Text(plain(finding.citation)), 5, f"[{finding.number}]")


def _print_hit(screen: Console, hit: Hit, explained: str | None, indent: int) -> None:
    from rich.text import Text

    article = hit.article
    title = Text()
    for notice in notices_of(article):
        title.append(f"[{badge(notice)}] ", style=badge_style(notice))
    title.append(plain(article.title) or "(no title)", style="bold")
    print_wrapped(screen, title, indent, f"{hit.rank}.")
    print_wrapped(screen, _source(hit), indent)
    if hit.evidence and (study := study_label(article)):
        print_wrapped(screen, Text(study, style="dim"), indent)
    for sentence in hit.evidence:
        quote = Text()
        quote.append(f"{sentence.section}: ", style="dim")
        quote.append(f"\u201c{plain(sentence.text)}\u201d", style="green")
        print_wrapped(screen, quote, indent)
    for other in hit.duplicates:
        print_wrapped(screen, Text(f"also PMID {other.pmid}: {other.reason}", style="yellow"), indent)
    if explained:
        print_wrapped(screen, _why(explained, hit), indent)
    if not screen.is_terminal:
        screen.print(" " * indent + article.url, soft_wrap=True)
    screen.print()


def _source(hit: Hit) -> Text:
    """Return who published the article, where and when, its PMID (a link in a terminal), its type and its score."""
    from rich.text import Text

    article = hit.article
    authors = author_names(article, _AUTHORS)
    parts = [
        Text(
            plain(" ".join(part for part in (f"{authors}." if authors else "", article.journal_abbreviation) if part))
        ),
        Text(str(article.year or "")),
        Text(f"PMID {hit.pmid}", style=f"link {article.url}"),
        Text(study_type(article) or ""),
        Text("free full text" if article.pmcid else ""),
        Text(f"cited by {hit.cited_by:,}" if hit.cited_by else ""),
        Text(f"linked to {hit.links:,} of the set" if hit.links else ""),
        # A question of filters alone has no words to be near to.
        Text(f"score {hit.score:.3f}{' (estimated)' if hit.estimated else ''}" if hit.score else "", style="dim"),
        Text("" if hit.near_enough else "probably not about this", style="yellow"),
    ]
    return Text(" \u00b7 ").join(part for part in parts if part.plain)


def _why(question: str, hit: Hit) -> Text:
    from rich.text import Text

    explained = explanation(question, hit)
    values = msgspec.structs.asdict(explained).items()
    shown = ((name.replace("_", " "), value) for name, value in values if type(value) in (int, float))
    parts = [
        ", ".join(f"{name} {value:g}" for name, value in shown if value),
        f"words in common: {', '.join(explained.matched_words) or 'none'}",
        "estimated: not encoded yet" if explained.estimated else "",
        f"added by feedback: {', '.join(explained.added_words)}" if explained.added_words else "",
    ]
    return Text(plain("; ".join(filter(None, parts))), style="cyan")
