"""PubMed's E-utilities: the records that a query finds, asked for no faster than NCBI allows."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import httpx
import msgspec
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

__all__ = ["MOST_RECORDS", "Eutils", "Found", "Page", "RateLimit", "pages"]

#: NCBI gives no more than this many records of one search in PubMed.
MOST_RECORDS = 9_999
#: Records that are fetched with one request.
PAGE = 200

# Every record has one Entrez date, and a search by it is exact; the first are of the 19th century.
_FIRST_DAY = date(1700, 1, 1)
_UNKNOWN = ("ErrorList/PhraseNotFound", "WarningList/QuotedPhraseNotFound")
_CLOSING = (b"</PubmedArticleSet>", b"<PubmedArticleSet/>", b"<PubmedArticleSet></PubmedArticleSet>")


class Found(msgspec.Struct, frozen=True):
    """What a search found: how many in all, the first PMIDs of them, and where NCBI's history server has them."""

    count: int
    pmids: list[int]
    web_env: str = ""
    query_key: str = ""
    notes: tuple[str, ...] = ()


class Page(msgspec.Struct, frozen=True):
    """Some records of a query, the PMIDs that are done with them, and the share of the query that is done then."""

    pmids: list[int]
    records: list[Record]
    fraction: float
    notes: tuple[str, ...] = ()
    #: What is told of a query whose records cannot all be had.
    incomplete: str | None = None


class RateLimit:
    """Spaces requests `interval` seconds apart, whichever processes of this user make them.

    The time of the last one is in a file that is locked for as long as it takes to write the next.
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
        """Take the next place in the row, and wait until it is time."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            now = self._clock()
            last = _timestamp(os.pread(descriptor, 64, 0))
            # A time far ahead is of a clock that was wrong.
            place = max(now, last + self._interval) if last < now + 60 else now
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{place:.6f}".encode(), 0)
        finally:
            os.close(descriptor)
        if place > now:
            self._sleep(place - now)


class Eutils:
    """Asks esearch and efetch. The API key is in no URL, no log and no error."""

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
        """Prepare to ask.

        `cache` is the folder in which processes tell each other when they asked last. `interval` is how many seconds
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
    ) -> Found:
        """Search PubMed, among records of some dates if they are given, and return up to `most` PMIDs.

        `kind` is `edat` (when the record came into PubMed) or `pdat` (published).
        """
        parameters = {"term": query, "usehistory": "y", "retmode": "xml", "retmax": str(most)}
        if dates is not None:
            first, last = (f"{day:%Y/%m/%d}" for day in dates)
            parameters |= {"datetype": kind, "mindate": first, "maxdate": last}
        return persist("PubMed's esearch", lambda: _read_search(self._ask("esearch.fcgi", parameters)), self._patience)

    def fetch(self, found: Found, start: int, pmids: list[int]) -> list[Record]:
        """Return the records of a page of a search: from NCBI's history, or by PMID where it has forgotten it.

        A record that is not given, though the search names it, comes as a Rejection.
        """
        history = {"WebEnv": found.web_env, "query_key": found.query_key, "retstart": str(start)}
        history["retmax"] = str(len(pmids))
        attempts = 0

        def attempt() -> list[Record]:
            nonlocal attempts
            attempts += 1
            # History is forgotten after some hours, and the answer is an error that says so or says nothing.
            return self._records(history if attempts == 1 and found.web_env else _by_pmid(pmids))

        records = persist("PubMed's efetch", attempt, self._patience)
        missing = _missing(pmids, records)
        if missing and found.web_env:
            records += persist("PubMed's efetch", lambda: self._records(_by_pmid(missing)), self._patience)
        asked = set(pmids)
        records = [record for record in records if isinstance(record, Rejection) or record.pmid in asked]
        return records + [
            Rejection("PubMed", "its search names the record and it is not given", pmid)
            for pmid in _missing(pmids, records)
        ]

    def _records(self, parameters: dict[str, str]) -> list[Record]:
        body = self._ask("efetch.fcgi", {"retmode": "xml", **parameters})
        if not body.rstrip().endswith(_CLOSING):
            raise TransientError(self._said(body) or "the answer breaks off in the middle of the records")
        try:
            return list(_read_records(body))
        except SourceError as error:
            raise TransientError(f"the answer cannot be read ({error})") from None

    def _ask(self, program: str, parameters: dict[str, str]) -> bytes:
        """Send one request. It is a POST: what is in a URL gets into logs and messages of others."""
        self._rate.wait()
        try:
            response = ask(self._client, "POST", f"{self._url}{program}", {**self._common, **parameters})
        except httpx.HTTPError as error:
            raise TransientError(failure(error)) from None
        if response.status_code == 400 and (said := self._said(response.content)):
            advice = "; check the environment variable NCBI_API_KEY" if "key" in said.lower() else ""
            raise SourceError(f"PubMed's {program}: {said}{advice}")
        check_status(response)
        if said := self._said(response.content):
            raise TransientError(said)
        return response.content

    def _said(self, body: bytes) -> str | None:
        """Return what an answer says that is an error, though its status may be 200; None if it is none."""
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
    wanted = first.count if limit is None else min(limit, first.count)
    yield Page([], [], 0.0, first.notes)
    seen: set[int] = set()
    for found in [first] if wanted <= most else _slices(eutils, query, most, _FIRST_DAY, _last_day()):
        for start in range(0, len(found.pmids), PAGE):
            pmids = found.pmids[start : start + PAGE]
            new = [pmid for pmid in pmids if pmid not in seen][: wanted - len(seen)]
            if new and not done.issuperset(new):
                records = eutils.fetch(found, start, pmids)
                chosen = set(new)
                records = [record for record in records if record.pmid is None or record.pmid in chosen]
                yield Page(new, records, (len(seen) + len(new)) / wanted)
            seen.update(new)
        if len(seen) >= wanted:
            return
    if len(seen) < wanted:
        note = f"{len(seen):,} of {wanted:,} records were reached: NCBI gives {most:,} of one search and no more"
        yield Page([], [], 1.0, incomplete=note)


def _slices(eutils: Eutils, query: str, most: int, first: date, last: date, kind: str = "edat") -> Iterator[Found]:
    """Search slices of time, halved until each has no more records than NCBI gives; the latest first."""
    found = eutils.search(query, most, (first, last), kind)
    if found.count <= most:
        yield found
    elif first < last:
        middle = first + (last - first) // 2
        yield from _slices(eutils, query, most, middle + timedelta(days=1), last, kind)
        yield from _slices(eutils, query, most, first, middle, kind)
    elif kind == "edat":
        # One day on which very many records came, as in NLM's backfiles: they differ in when they were published.
        day = f"{first:%Y/%m/%d}"
        yield from _slices(eutils, f'({query}) AND "{day}"[edat]', most, _FIRST_DAY, _last_day(), "pdat")
    else:
        yield found


def _last_day() -> date:
    # Issues are dated ahead.
    return date(date.today().year + 2, 12, 31)


def _by_pmid(pmids: list[int]) -> dict[str, str]:
    return {"id": ",".join(str(pmid) for pmid in pmids)}


def _missing(pmids: list[int], records: list[Record]) -> list[int]:
    given = {record.pmid for record in records}
    return [pmid for pmid in pmids if pmid not in given]


def _read_search(body: bytes) -> Found:
    try:
        root = _parse(body)
        count = int(root.findtext("Count") or "")
        pmids = [int(entry.text or "") for entry in root.iterfind("IdList/Id")]
    except (etree.XMLSyntaxError, ValueError):
        raise TransientError("the answer is no whole search result") from None
    unknown = [entry.text or "" for name in _UNKNOWN for entry in root.iterfind(name)]
    notes = tuple(f"PubMed does not know the phrase {phrase!r} and passes over it" for phrase in unknown)
    return Found(count, pmids, root.findtext("WebEnv") or "", root.findtext("QueryKey") or "", notes)


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
        return "an answer that is no XML" if start else "nothing"
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


def _timestamp(data: bytes) -> float:
    try:
        return float(data)
    except ValueError:
        return 0.0
