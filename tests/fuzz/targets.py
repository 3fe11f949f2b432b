"""What is fuzzed: each target takes any bytes and may end in an error of this package's, never in another."""

import contextlib
import json
import os
import re
import tempfile
from pathlib import Path

import search.formats.jsonl
import search.formats.medline.lines  # noqa: F401

# What is loaded where it is needed is loaded here, so that whoever instruments this module instruments them too.
from search.article import Article, Deletion, from_json, to_json
from search.config import load_config
from search.errors import ConfigError, QueryError, SourceError
from search.formats.base import LeftOut, Rejection
from search.formats.open import open_source
from search.retrieval.tags import parse_question
from search.storage.rows import prepare

__all__ = ["KEPT", "TARGETS", "kept", "seeds"]

#: What fuzzing found to reach something new, a file of JSON strings (of bytes as Latin-1) for each target.
KEPT = Path(__file__).parent / "kept"

_SAMPLE = Path(__file__).parents[2] / "search" / "sample"
_FILE = Path(tempfile.mkdtemp(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)) / "input"


def _source(data, *begins):
    """Read a file, if it begins as its format does; every article must be storable and come back from JSON."""
    if not data.lstrip().startswith(begins):
        data = begins[0] + data
    _FILE.write_bytes(data)
    try:
        for record in open_source(_FILE):
            if isinstance(record, Article):
                prepare(record)
                if from_json(to_json(record)) != record:
                    raise AssertionError(f"does not come back: {record!r}")
            elif not isinstance(record, Deletion | Rejection | LeftOut):
                raise AssertionError(repr(record))
    except SourceError:
        pass


def xml(data):
    """NLM XML."""
    _source(data, b"<")


def nbib(data):
    """MEDLINE text."""
    _source(data, b"PMID- 1\n", b"PMID")


def jsonl(data):
    """JSON lines."""
    _source(data, b"{", b"[")


def tags(data):
    """Questions with PubMed's field tags."""
    with contextlib.suppress(QueryError):
        parse_question(data.decode("utf-8", "replace"))


def config(data):
    """config.yml."""
    _FILE.write_bytes(data)
    with contextlib.suppress(ConfigError):
        load_config(_FILE)


TARGETS = {function.__name__: function for function in (xml, nbib, jsonl, tags, config)}


def kept(name):
    """What `keep.py` kept of earlier runs."""
    path = KEPT / f"{name}.jsonl"
    lines = path.read_text("utf-8").split("\n") if path.exists() else []
    return [json.loads(line).encode("latin-1") for line in lines if line]


def seeds(name):
    """Real input to begin with: the sample's records, and what people write."""
    if name == "xml":
        text = (_SAMPLE / "sample-a.xml").read_text()
        records = re.findall(r"<PubmedArticle>.*?</PubmedArticle>", text, re.DOTALL)[:12]
        found = [f"<PubmedArticleSet>{record}</PubmedArticleSet>" for record in records]
        book = "<PubmedBookArticle><BookDocument><PMID>7</PMID><Book><BookTitle>B</BookTitle></Book></BookDocument>"
        found += [f"{book}</PubmedBookArticle>", "<DeleteCitation><PMID>5</PMID></DeleteCitation>"]
        found += ['<!DOCTYPE a SYSTEM "x"><PubmedArticle><!-- c --><![CDATA[x]]></PubmedArticle>', "<a>&lt;&#65;</a>"]
        return [text.encode() for text in found]
    if name in ("nbib", "jsonl"):
        from search.formats.export import render

        articles = [record for record in open_source(_SAMPLE / "sample-a.xml") if isinstance(record, Article)][:12]
        found = [render(article, name).encode() for article in articles]
        loose = {
            "pmid": "12",
            "title": "T",
            "year": 2004,
            "authors": ["Smith, A"],
            "mesh": ["Aspirin"],
            "doi": "10.1/a",
        }
        return found if name == "nbib" else [*found, json.dumps(loose).encode(), json.dumps([loose, loose]).encode()]
    if name == "config":
        text = (Path(__file__).parents[2] / "config.yml").read_text()
        return [
            text.encode(),
            *(part.encode() for part in text.split("\n\n")),
            b"nlm: {url: 'http://a/'}",
            b"a: &a [*a]",
        ]
    return [
        question.encode()
        for question in (
            "aspirin and bowel cancer",
            "statins AND 2015:2020[dp] NOT review[pt]",
            '"randomized controlled trial"[Publication Type] (pain OR ache)',
            "neoplasms/drug therapy[majr] AND lancet[ta] AND eng[la]",
            "2019/01/01:2020/12[Date - Publication] hasabstract",
            "((a OR b) AND NOT (c[mh]))",
        )
    ]
