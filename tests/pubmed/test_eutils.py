"""E-utilities: every record of a query once, no faster than NCBI allows, and no key where it could be seen."""

import json
import logging
import os
import subprocess
import sys
import traceback
from datetime import date, timedelta
from pathlib import Path

import pytest
from nlm_server import Fault, NlmServer, article_xml

import search
from search.article import Article
from search.errors import QueryError, SourceError
from search.formats.base import Rejection
from search.pubmed.eutils import Eutils, RateLimit, pages
from search.pubmed.http import Patience

KEY = "0123456789abcdefSECRET"


@pytest.fixture
def server():
    server = NlmServer()
    first = date(2001, 1, 1)
    for pmid in range(1, 451):
        server.records[pmid] = (article_xml(pmid, f"Title {pmid}"), f"{first + timedelta(days=pmid * 7):%Y/%m/%d}")
    yield server
    server.close()


@pytest.fixture
def waits():
    return []


@pytest.fixture
def eutils(server, tmp_path, waits):
    patience = Patience(attempts=4, first=1.0, sleep=waits.append, jitter=lambda: 0.0)
    settings = dict(tool="tests", email="someone@example.org", api_key=KEY, cache=tmp_path, interval=0.0)
    eutils = Eutils(server.url, timeout=0.25, patience=patience, **settings)
    yield eutils
    eutils.close()


def titles(eutils, limit=None, done=frozenset(), most=9999):
    found = []
    for page in pages(eutils, "aspirin", limit, set(done), most):
        assert page.incomplete is None
        assert sorted(record.pmid for record in page.records) == sorted(page.pmids)
        found += [record.title for record in page.records if isinstance(record, Article)]
    return found


def test_every_record_comes_once_in_pages_of_200_from_history(server, eutils):
    assert titles(eutils) == [f"Title {pmid}" for pmid in range(450, 0, -1)]
    search, *fetches = [form for _, _, form in server.requests]
    assert (search["term"], search["usehistory"], search["db"]) == ("aspirin", "y", "pubmed")
    assert (search["tool"], search["email"]) == ("tests", "someone@example.org")
    assert [(form["WebEnv"], form["retstart"], form["retmax"]) for form in fetches] == [
        ("MCID_1", "0", "200"),
        ("MCID_1", "200", "200"),
        ("MCID_1", "400", "50"),
    ]


def test_a_limit_takes_the_first(server, eutils):
    assert titles(eutils, limit=3) == ["Title 450", "Title 449", "Title 448"]
    assert [form.get("retmax") for _, _, form in server.requests] == ["3", "3"]


@pytest.mark.parametrize("most", [60, 1])
def test_more_than_ncbi_gives_of_one_search_comes_by_slices_of_time(server, eutils, most):
    if most == 1:
        server.records = {pmid: server.records[pmid] for pmid in range(1, 20)}
    found = titles(eutils, most=most)
    assert found == [f"Title {pmid}" for pmid in range(len(server.records), 0, -1)]
    assert max(int(form["retmax"]) for path, _, form in server.requests if path == "esearch.fcgi") == most


def test_a_limit_holds_over_slices(eutils):
    assert titles(eutils, limit=130, most=60) == [f"Title {pmid}" for pmid in range(450, 320, -1)]


def test_what_cannot_be_reached_is_told(server, eutils):
    server.records = {pmid: (xml, "2001/01/01") for pmid, (xml, _) in server.records.items()}
    last = list(pages(eutils, "aspirin", None, set(), most=60))[-1]
    assert last.incomplete == "60 of 450 records could be fetched: NCBI gives at most 60 of one search"


def test_pages_that_are_done_are_not_fetched_again(server, eutils):
    assert titles(eutils, done=range(251, 451)) == [f"Title {pmid}" for pmid in range(250, 0, -1)]
    assert [form["retstart"] for path, _, form in server.requests if path == "efetch.fcgi"] == ["200", "400"]


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=500),
        Fault(status=429, body=json.dumps({"error": "API rate limit exceeded", "api-key": KEY}).encode()),
        Fault(silent=0.6),
        Fault(cut=100),
        Fault(body=article_xml(1).encode()[:300]),
        Fault(body=b"<PubmedArticleSet><PubmedArticle>"),
        Fault(body=b"<eFetchResult><ERROR>Cannot process request</ERROR></eFetchResult>"),
        Fault(body=json.dumps({"error": "API rate limit exceeded", "api-key": KEY}).encode()),
        Fault(body=b"<!DOCTYPE html><html><body>Down for maintenance</body></html>"),
        Fault(body=b""),
    ],
    ids=["500", "429", "silent", "cut", "half a record", "half a set", "xml error", "json error", "web page", "empty"],
)
@pytest.mark.parametrize("program", ["esearch.fcgi", "efetch.fcgi"])
def test_what_goes_wrong_once_is_tried_again(server, eutils, program, fault, waits):
    server.faults[program] = [fault]
    assert titles(eutils, limit=5) == [f"Title {pmid}" for pmid in range(450, 445, -1)]
    assert waits == [1.0]


def test_history_that_is_forgotten_is_done_without(server, eutils):
    server.history_forgotten = True
    assert len(titles(eutils)) == 450
    assert server.requests[-1][2]["id"].split(",")[0] == "50"


def test_a_record_that_is_not_given_is_told(server, eutils):
    page = list(pages(eutils, "aspirin", 3, set()))[-1]
    assert not [record for record in page.records if isinstance(record, Rejection)]
    server.before_answer = lambda path: path == "efetch.fcgi" and server.records.pop(449, None)
    page = list(pages(eutils, "aspirin", 3, set()))[-1]
    assert [record.pmid for record in page.records] == [450, 448, 449]
    assert page.records[2] == Rejection("PubMed", "the search lists this record but NCBI did not send it", 449)


def test_whatever_pubmed_says_about_a_query_is_passed_on(server, eutils):
    body = b"""<eSearchResult><Count>0</Count><IdList/>
        <QueryTranslation>asthma[MeSH Terms] OR asthma[All Fields]</QueryTranslation>
        <ErrorList><PhraseNotFound>aspirn</PhraseNotFound><FieldNotFound>NoSuchField</FieldNotFound></ErrorList>
        <WarningList><PhraseIgnored>the</PhraseIgnored><PhraseIgnored>of</PhraseIgnored>
        <QuotedPhraseNotFound>"big lung"[tiab]</QuotedPhraseNotFound>
        <OutputMessage>Wildcard search for 'a*' used only the first 600 variations.</OutputMessage></WarningList>
        </eSearchResult>"""
    server.faults["esearch.fcgi"] = [Fault(body=body)]
    (page,) = pages(eutils, "aspirn", None, set())
    assert page.notes == (
        "PubMed does not know the phrase 'aspirn' and ignores it",
        "PubMed has no field 'NoSuchField' and searches without it",
        "PubMed ignores 'the'",
        "PubMed ignores 'of'",
        "PubMed does not know the quoted phrase '\"big lung\"[tiab]'",
        "PubMed says: Wildcard search for 'a*' used only the first 600 variations.",
        "PubMed searches for: asthma[MeSH Terms] OR asthma[All Fields]",
    )


@pytest.mark.parametrize("error", ["Empty term and query_key - nothing todo", "Invalid db name specified: pubmet"])
def test_an_error_that_lasts_is_not_tried_again(server, eutils, waits, error):
    server.faults["esearch.fcgi"] = [Fault(body=f"<eSearchResult><ERROR>{error}</ERROR></eSearchResult>".encode())]
    with pytest.raises(SourceError, match=error):
        list(pages(eutils, "aspirin", None, set()))
    assert waits == [] and len(server.requests) == 1


def test_an_empty_query_is_refused(eutils):
    with pytest.raises(QueryError, match="empty"):
        titles_of_nothing = pages(eutils, "  ", None, set())
        next(titles_of_nothing)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault(status=400, body=json.dumps({"error": f"API key invalid {KEY}"}).encode()), "NCBI_API_KEY"),
        (Fault(status=500, body=KEY.encode()), "HTTP 500"),
        (Fault(body=f"<eSearchResult><ERROR>bad {KEY}</ERROR></eSearchResult>".encode()), r"bad \(the API key\)"),
        (Fault(silent=0.3), "no answer in time"),
        (Fault(cut=10), "broke off"),
    ],
)
def test_the_key_is_in_no_error_no_log_and_no_address(server, eutils, fault, said, caplog):
    server.faults["esearch.fcgi"] = [fault] * 4
    with caplog.at_level(logging.DEBUG), pytest.raises(SourceError, match=said) as error:
        titles(eutils)
    assert KEY not in "".join(traceback.format_exception(error.value))
    assert KEY not in caplog.text
    assert KEY not in "".join(path for path, _, _ in server.requests)
    assert server.requests[0][2]["api_key"] == KEY


def test_a_server_that_is_not_there(tmp_path):
    patience = Patience(attempts=2, sleep=lambda _: None)
    eutils = Eutils("http://127.0.0.1:1/", tool="tests", api_key=KEY, cache=tmp_path, patience=patience, interval=0)
    with pytest.raises(SourceError, match="no connection to the server"):
        eutils.search("aspirin")
    eutils.close()


@pytest.mark.parametrize(("key", "pause"), [(None, 1 / 3), (KEY, 1 / 10)])
def test_the_pause_is_what_ncbi_asks_for(server, tmp_path, key, pause):
    waits = []
    eutils = Eutils(server.url, tool="tests", api_key=key, cache=tmp_path, patience=Patience(sleep=waits.append))
    for _ in range(3):
        eutils.search("aspirin", 1)
    eutils.close()
    assert len(waits) == 2
    assert pause - 0.1 < waits[0] < pause + 0.02
    assert waits[1] > 2 * pause - 0.2


def test_a_clock_that_was_wrong_does_not_stop_requests(tmp_path):
    (tmp_path / "last").write_text("99999999999")
    waits = []
    RateLimit(tmp_path / "last", 0.5, clock=lambda: 1000.0, sleep=waits.append).wait()
    assert waits == []
    RateLimit(tmp_path / "last", 0.5, clock=lambda: 1000.2, sleep=waits.append).wait()
    assert waits == [pytest.approx(0.3)]


_ASK = """
import sys, time
from pathlib import Path
from search.pubmed.eutils import RateLimit
limit = RateLimit(Path(sys.argv[1]), 0.02)
for _ in range(6):
    limit.wait()
    print(time.time())
"""


def test_processes_keep_the_pause_together(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(Path(search.__file__).parents[1])}
    command = [sys.executable, "-c", _ASK, str(tmp_path / "last")]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(2)]
    moments = sorted(float(line) for process in processes for line in process.communicate()[0].split())
    assert len(moments) == 12
    # Each waits for its place; only how promptly the system wakes it differs.
    assert all(moment >= moments[0] + 0.02 * place - 0.005 for place, moment in enumerate(moments))
