"""PubMed's E-utilities: search for and fetch records, no faster than NCBI allows."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import httpx
import msgspec
from filelock import FileLock
from lxml import etree

from search.errors import QueryError, SourceError
from search.formats.base import Record, Rejection
from search.formats.pubmed_xml.splitter import split_records
from search.formats.pubmed_xml.xml_records import read_records
from search.pubmed.http import (
    Patience,
    TransientError,
    ask,
    check_status,
    failure,
    make_client,
    persist,
)

__all__ = ["MOST_RECORDS", "Eutils", "Page", "RateLimit", "SearchResult", "pages"]

#: NCBI gives no more than this many records of one search in PubMed.
MOST_RECORDS = 9_999
#: Records that are fetched with one request.
PAGE = 200

# Every record has one Entrez date, and a search by it is exact; the first are of the 19th century.
_FIRST_DAY = date(1700, 1, 1)
#: What esearch says about a query, and how it is passed on.
_NOTES = (
    ("ErrorList/PhraseNotFound", "PubMed does not know the phrase {!r} and ignores it"),
    ("ErrorList/FieldNotFound", "PubMed has no field {!r} and searches without it"),
    ("WarningList/PhraseIgnored", "PubMed ignores {!r}"),
    ("WarningList/QuotedPhraseNotFound", "PubMed does not know the quoted phrase {!r}"),
    ("WarningList/OutputMessage", "PubMed says: {}"),
    ("QueryTranslation", "PubMed searches for: {}"),
)
_LASTING_ERROR = re.compile(r"empty term|invalid|not supported|unsupported|malformed|nothing todo", re.IGNORECASE)
_CLOSING = (b"</PubmedArticleSet>", b"<PubmedArticleSet/>", b"<PubmedArticleSet></PubmedArticleSet>")


class SearchResult(msgspec.Struct, frozen=True):
    """The result of a search: the number of records, the first PMIDs, and their place on NCBI's history server."""

    count: int
    pmids: list[int]
    web_env: str = ""
    query_key: str = ""
    notes: tuple[str, ...] = ()


class Page(msgspec.Struct, frozen=True):
    """Some records of a query, their PMIDs, and the share of the query that is done with them (0 to 1)."""

    pmids: list[int]
    records: list[Record]
    fraction: float
    notes: tuple[str, ...] = ()
    #: Says which records of the query cannot be fetched; None if all can.
    incomplete: str | None = None


class RateLimit:
    """Spaces requests `interval` seconds apart, whichever processes of this user make them.

    A file holds the time of the last one; a lock beside it is held while the next is written.
    """

    def __init__(
        self,
        path: Path,
        interval: float,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._path = path
        self._interval = interval
        self._clock = clock
        self._sleep = sleep

    def wait(self) -> None:
        """Take the next turn, and wait until it has come."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{self._path}.lock", mode=0o600):
            now = self._clock()
            last = _timestamp(self._path)
            # A time far ahead is of a clock that was wrong.
            turn = max(now, last + self._interval) if last < now + 60 else now
            self._path.write_text(f"{turn:.6f}")
        if turn > now:
            self._sleep(turn - now)


class Eutils:
    """A client of esearch and efetch. The API key is in no URL, no log and no error."""

    def __init__(
        self,
        url: str,
        *,
        tool: str,
        email: str | None = None,
        api_key: str | None = None,
        cache: Path,
        timeout: float = 60.0,
        patience: Patience | None = None,
        interval: float | None = None,
    ) -> None:
        """Open a client.

        `cache` is the folder in which processes note the time of the last request. `interval` is how many seconds
        apart requests are: by default what NCBI allows, a third of one, or a tenth with a key.
        """
        self._url = url if url.endswith("/") else f"{url}/"
        self._key = api_key or ""
        self._common = {"db": "pubmed", "tool": tool}
        if email:
            self._common["email"] = email
        if self._key:
            self._common["api_key"] = self._key
        self._patience = patience or Patience()
        # A little more than allowed: NCBI counts when requests arrive, which is not evenly.
        pause = interval if interval is not None else (0.105 if self._key else 0.35)
        self._rate = RateLimit(cache / "eutils-last-request", pause, sleep=self._patience.sleep)
        self._client = make_client(timeout)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def search(
        self, query: str, most: int = MOST_RECORDS, dates: tuple[date, date] | None = None, kind: str = "edat"
    ) -> SearchResult:
        """Search PubMed, among records of some dates if they are given, and return up to `most` PMIDs.

        `kind` is `edat` (when the record came into PubMed) or `pdat` (published).
        """
        parameters = {"term": query, "usehistory": "y", "retmode": "xml", "retmax": str(most)}
        if dates is not None:
            first, last = (f"{day:%Y/%m/%d}" for day in dates)
            parameters |= {"datetype": kind, "mindate": first, "maxdate": last}
        return persist("PubMed's esearch", lambda: _read_search(self._ask("esearch.fcgi", parameters)), self._patience)

    def fetch(self, result: SearchResult, start: int, pmids: list[int]) -> list[Record]:
        """Return the records of a page of a search: from NCBI's history, or by PMID where it has forgotten it.

        A record that the search names and NCBI does not send comes as a Rejection.
        """
        history = {"WebEnv": result.web_env, "query_key": result.query_key, "retstart": str(start)}
        history["retmax"] = str(len(pmids))
        attempts = 0

        def attempt() -> list[Record]:
            nonlocal attempts
            attempts += 1
            # History is forgotten after some hours, and the answer is an error that says so or says nothing.
            return self._records(history if attempts == 1 and result.web_env else _by_pmid(pmids))

        records = persist("PubMed's efetch", attempt, self._patience)
        missing = _missing(pmids, records)
        if missing and result.web_env:
            records += persist("PubMed's efetch", lambda: self._records(_by_pmid(missing)), self._patience)
        requested = set(pmids)
        records = [record for record in records if isinstance(record, Rejection) or record.pmid in requested]
        return records + [
            Rejection("PubMed", "the search lists this record but NCBI did not send it", pmid)
            for pmid in _missing(pmids, records)
        ]

    def _records(self, parameters: dict[str, str]) -> list[Record]:
        body = self._ask("efetch.fcgi", {"retmode": "xml", **parameters})
        if not body.rstrip().endswith(_CLOSING):
            raise TransientError(self._error_in(body) or "the answer ends in the middle of the records")
        try:
            return list(_read_records(body))
        except SourceError as error:
            raise TransientError(f"the answer cannot be read ({error})") from None

    def _ask(self, program: str, parameters: dict[str, str]) -> bytes:
        """Send one request, as a POST: URLs end up in other people's logs and messages."""
        self._rate.wait()
        try:
            response = ask(self._client, "POST", f"{self._url}{program}", {**self._common, **parameters})
        except httpx.HTTPError as problem:
            raise TransientError(failure(problem)) from None
        if response.status_code == 400 and (error := self._error_in(response.content)):
            advice = "; check the environment variable NCBI_API_KEY" if "key" in error.lower() else ""
            raise SourceError(f"PubMed's {program}: {error}{advice}")
        check_status(response)
        if error := self._error_in(response.content):
            # What is wrong with a query stays wrong; history that is forgotten is an error of efetch.
            lasting = program == "esearch.fcgi" and _LASTING_ERROR.search(error)
            raise SourceError(f"PubMed's {program}: {error}") if lasting else TransientError(error)
        return response.content

    def _error_in(self, body: bytes) -> str | None:
        """Return the error in an answer, whose status may still be 200, or None."""
        text = _error_text(body)
        if text is None:
            return None
        if self._key:
            text = text.replace(self._key, "(the API key)")
        return f"NCBI says: {' '.join(text.split())[:300]}"


def pages(eutils: Eutils, query: str, limit: int | None, done: set[int], most: int = MOST_RECORDS) -> Iterator[Page]:
    """Yield the records of a query, 200 at a time, without those that are done; at most `limit` in all.

    NCBI gives `most` records of one search. Where there are more, the query is asked again for slices of time that
    have no more each, the latest first. Raises QueryError for an empty query, SourceError if NCBI gives up.
    """
    if not query.strip():
        raise QueryError("the query to PubMed is empty")
    first = eutils.search(query, most if limit is None else min(limit, most))
    total = first.count if limit is None else min(limit, first.count)
    yield Page([], [], 0.0, first.notes)
    seen: set[int] = set()
    for result in [first] if total <= most else _slices(eutils, query, most, _FIRST_DAY, _last_day()):
        for start in range(0, len(result.pmids), PAGE):
            pmids = result.pmids[start : start + PAGE]
            new = [pmid for pmid in pmids if pmid not in seen][: total - len(seen)]
            if new and not done.issuperset(new):
                records = eutils.fetch(result, start, pmids)
                chosen = set(new)
                records = [record for record in records if record.pmid is None or record.pmid in chosen]
                yield Page(new, records, (len(seen) + len(new)) / total)
            seen.update(new)
        if len(seen) >= total:
            return
    if len(seen) < total:
        note = f"{len(seen):,} of {total:,} records could be fetched: NCBI gives at most {most:,} of one search"
        yield Page([], [], 1.0, incomplete=note)


def _slices(
    eutils: Eutils, query: str, most: int, first: date, last: date, kind: str = "edat"
) -> Iterator[SearchResult]:
    """Search slices of time, halved until each has no more records than NCBI gives; the latest first."""
    result = eutils.search(query, most, (first, last), kind)
    if result.count <= most:
        yield result
    elif first < last:
        middle = first + (last - first) // 2
        yield from _slices(eutils, query, most, middle + timedelta(days=1), last, kind)
        yield from _slices(eutils, query, most, first, middle, kind)
    elif kind == "edat":
        # One day on which very many records came, as in NLM's backfiles: they differ in when they were published.
        day = f"{first:%Y/%m/%d}"
        yield from _slices(eutils, f'({query}) AND "{day}"[edat]', most, _FIRST_DAY, _last_day(), "pdat")
    else:
        yield result


def _last_day() -> date:
    # Issues are dated ahead.
    return date(date.today().year + 2, 12, 31)


def _by_pmid(pmids: list[int]) -> dict[str, str]:
    return {"id": ",".join(str(pmid) for pmid in pmids)}


def _missing(pmids: list[int], records: list[Record]) -> list[int]:
    given = {record.pmid for record in records}
    return [pmid for pmid in pmids if pmid not in given]


def _read_search(body: bytes) -> SearchResult:
    try:
        root = _parse(body)
        count = int(root.findtext("Count") or "")
        pmids = [int(entry.text or "") for entry in root.iterfind("IdList/Id")]
    except (etree.XMLSyntaxError, ValueError):
        raise TransientError("the answer is not a complete search result") from None
    notes = tuple(
        form.format(" ".join(entry.text.split()))
        for name, form in _NOTES
        for entry in root.iterfind(name)
        if entry.text and entry.text.strip()
    )
    return SearchResult(count, pmids, root.findtext("WebEnv") or "", root.findtext("QueryKey") or "", notes)


def _error_text(body: bytes) -> str | None:
    """Return the text of an error in any of the forms NCBI gives it: JSON, XML with an ERROR, a web page."""
    start = body.lstrip()[:2000]
    if start.startswith(b"{"):
        try:
            content = json.loads(body, strict=False)
        except ValueError:
            return "an answer that cannot be read"
        return str(content.get("error") or content.get("esearchresult", {}).get("ERROR") or "an unknown error")
    if not start.startswith(b"<"):
        return "an answer that is not XML" if start else "nothing"
    if b"<html" in start.lower():
        return "a web page instead of an answer"
    if b"<ERROR>" in body[:20_000] and b"<PubmedArticleSet" not in start:
        try:
            return " ".join(entry.text or "" for entry in _parse(body).iter("ERROR")) or None
        except etree.XMLSyntaxError:
            return "an error that cannot be read"
    return None


def _parse(body: bytes) -> etree._Element:
    # Nothing outside the answer is read, and no entity can blow it up.
    return etree.fromstring(body, etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False))


def _read_records(body: bytes) -> Iterator[Record]:
    for batch in split_records(iter([body]), "PubMed"):
        yield from read_records(batch, "PubMed")


def _timestamp(path: Path) -> float:
    try:
        return float(path.read_text())
    except (OSError, ValueError):
        return 0.0
