"""Input that was made to do harm, beyond what the tests of each source hold already."""

import contextlib
import gzip
import http.server
import json
import threading

import pytest
from hostile.limits import processor_seconds
from source_files import a_set, read, read_until_problem, record

from search.article import Article
from search.errors import QueryError, SourceError
from search.formats import byte_stream
from search.formats.base import LeftOut, Rejection
from search.formats.byte_stream import ByteStream
from search.formats.open import open_source
from search.retrieval.tags import parse_question


@pytest.fixture
def watched():
    """A server on loopback that notes who asks for anything."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *arguments):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", asked
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize(
    "title",
    ["plain", "an <i>inline</i> tag", "a <!-- comment -->", "<mml:math xmlns:mml='x'><mml:mi>x</mml:mi></mml:math>"],
)
def test_a_dtd_on_the_network_is_never_fetched(tmp_path, watched, title):
    url, asked = watched
    doctype = f'<!DOCTYPE PubmedArticleSet PUBLIC "-//NLM//DTD" "{url}/evil.dtd">'
    instruction = f'<?xml-stylesheet href="{url}/evil.xsl"?>'
    body = a_set(record(f"<ArticleTitle>{title}</ArticleTitle>"))
    (article,) = read(tmp_path, body.replace("<PubmedArticleSet>", f"{doctype}{instruction}<PubmedArticleSet>"))
    assert isinstance(article, Article)
    for entity in (f'<!ENTITY % remote SYSTEM "{url}/evil.ent"> %remote;', f'<!ENTITY e SYSTEM "{url}/evil.txt">'):
        xml = body.replace("<PubmedArticleSet>", f"<!DOCTYPE PubmedArticleSet [{entity}]><PubmedArticleSet>")
        found, problem = read_until_problem(tmp_path, xml)
        assert found == [] and "defines entities" in problem
    include = f'<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="{url}/evil"/>'
    read(tmp_path, a_set(record(f"<ArticleTitle>x {include}</ArticleTitle>")))
    assert asked == []


def test_very_many_members_of_gzip_are_read_in_small_steps(tmp_path, monkeypatch):
    path = tmp_path / "many.gz"
    path.write_bytes(gzip.compress(b"") * 30_000 + gzip.compress(b"x"))
    steps = []
    read = byte_stream._Packed.read
    monkeypatch.setattr(byte_stream._Packed, "read", lambda *args: steps.append(read(*args)) or steps[-1])
    assert b"".join(ByteStream(path).pieces()) == b"x"
    # What follows a short member is copied by the unpacker, once for each member.
    assert max(map(len, steps)) <= 8192 and sum(map(len, steps)) == path.stat().st_size


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"pmid": 3, "title": "x", "year": ' + "1" * 5000 + "}", "not JSON"),
        ('{"pmid": ' + "9" * 5000 + ', "title": "x"}', "not JSON"),
        ('{"pmid": 1e400, "title": "x"}', "not JSON"),
        ('{"pmid": Infinity, "title": "x"}', "no PMID"),
        ('{"pmid": 3, "title": "\\ud800 alone"}', "not JSON"),
    ],
)
def test_numbers_and_nesting_that_are_no_record(tmp_path, line, reason):
    path = tmp_path / "bad.jsonl"
    path.write_text(line + '\n{"pmid": 9, "title": "next"}\n')
    bad, following = list(open_source(path))
    assert isinstance(bad, Rejection) and reason in bad.reason, bad
    assert len(bad.reason) < 500
    assert following.pmid == 9


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ('{"pmid": 3, "title": "x", "year": "0001' + "0" * 5000 + '"}', "`year`"),
        ('{"pmid": 3, "title": "x", "year": "00019999999"}', "`year`"),
        ('{"pmid": 3, "authors": ' + "[" * 900 + "]" * 900 + ', "title": "x"}', "an author is left out"),
    ],
)
def test_numbers_and_nesting_that_are_no_field_cost_that_field(tmp_path, line, field):
    path = tmp_path / "bad.jsonl"
    path.write_text(line + '\n{"pmid": 9, "title": "next"}\n')
    left_out, kept, following = sorted(open_source(path), key=lambda record: record.pmid + isinstance(record, Article))
    assert isinstance(left_out, LeftOut) and field in left_out.reason and len(left_out.reason) < 500
    assert (kept.pmid, kept.title, kept.year, kept.authors) == (3, "x", None, ())
    assert following.pmid == 9


@pytest.mark.parametrize("encoding", ["undefined", "utf_16", "rot13", "hex", "idna", "punycode", "unicode_escape"])
def test_an_encoding_that_is_none_of_text_is_told(tmp_path, encoding):
    path = tmp_path / "odd.xml"
    path.write_text(f'<?xml version="1.0" encoding="{encoding}"?><PubmedArticleSet>\\N{{\xe9</PubmedArticleSet>')
    with pytest.raises(SourceError):
        list(open_source(path))


QUESTIONS = {
    "no tag": "word " * 2_000_000,
    "tags": "x[mh] AND " * 20_000 + "y[mh]",
    "quoted": '"a[ti]" ' * 20_000 + "x[mh]",
    "parentheses": "(" * 100_000 + "x[mh]",
    "brackets": "[" * 100_000 + "x[mh]",
    "hyphens": "-" * 100_000 + "[dp]",
    "dates": "2015[dp] : " * 20_000 + "2016[dp]",
}


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
def test_a_question_of_megabytes_is_read_in_a_time_that_grows_with_it(question):
    with processor_seconds(60), contextlib.suppress(QueryError):
        parse_question(question)


def test_a_record_of_very_many_keys_and_one_of_very_long_text_are_read(tmp_path):
    path = tmp_path / "wide.jsonl"
    wide = {"pmid": 1, "title": "x", **{f"key{number}": number for number in range(50_000)}}
    path.write_text(json.dumps(wide) + "\n" + json.dumps({"pmid": 2, "title": "y " * 1_000_000}) + "\n")
    assert [found.pmid for found in open_source(path)] == [1, 2]
