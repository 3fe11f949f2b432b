"""Formats are told by their content, and folders are read in NLM's order."""

import gzip
import io
import sys

import pytest

from search.article import Article, Deletion
from search.errors import SourceError
from search.formats.open import expand_paths, open_source

XML = (
    '<?xml version="1.0" encoding="{0}"?>\n<PubmedArticleSet><PubmedArticle><MedlineCitation><PMID>{1}</PMID><Article>'
    "<ArticleTitle>Über</ArticleTitle></Article></MedlineCitation></PubmedArticle></PubmedArticleSet>\n"
)
NBIB = "\nPMID- 3\nTI  - Über\n"
JSON = '{"pmid": 3, "title": "Über"}\n'


@pytest.mark.parametrize(
    "data",
    [
        XML.format("utf-8", 3).encode(),
        XML.format("utf-16", 3).encode("utf-16"),
        XML.format("iso-8859-1", 3).encode("latin-1"),
        b"\xef\xbb\xbf" + XML.format("utf-8", 3).encode(),
        gzip.compress(XML.format("utf-8", 3).encode()),
        NBIB.encode(),
        b"\xef\xbb\xbf" + NBIB.replace("\n", "\r\n").encode(),
        JSON.encode(),
        b"  \n" + JSON.encode(),
        JSON.encode("utf-16"),
        gzip.compress(JSON.encode()),
        gzip.compress(b"") + gzip.compress(JSON.encode()),
    ],
)
def test_the_format_is_told_by_the_content(tmp_path, monkeypatch, data):
    path = tmp_path / "anything.bin"
    path.write_bytes(data)
    expected = [Article(pmid=3, title="Über")]
    assert list(open_source(path)) == expected
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert list(open_source("-")) == expected


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"\x89PNG\r\n\x1a\n", "holds no PubMed records"),
        (b"PK\x03\x04abcdef", "a zip archive"),
        (b"id,title\n1,x\n", r"begins with 'id,title"),
        (b"\x1b[2J evil", r"begins with '\\x1b"),
    ],
)
def test_what_is_no_pubmed_record_is_told(tmp_path, data, message):
    path = tmp_path / "file.dat"
    path.write_bytes(data)
    with pytest.raises(SourceError, match=rf"file\.dat: .*{message}"):
        list(open_source(path))


def test_a_gzip_that_is_cut_off_gives_what_it_holds(tmp_path):
    whole = gzip.compress("".join(f'{{"pmid": {n}, "title": "t{n * n}"}}\n' for n in range(1, 50_000)).encode())
    path = tmp_path / "cut.jsonl.gz"
    path.write_bytes(whole[: len(whole) // 2])
    articles = []
    with pytest.raises(SourceError, match=r"cut\.jsonl\.gz: the gzip data are cut off"):
        for record in open_source(path):
            articles.append(record)  # noqa: PERF402 - what came before the error is wanted
    articles = [record for record in articles if isinstance(record, Article)]
    assert len(articles) > 10_000
    assert [article.pmid for article in articles] == list(range(1, len(articles) + 1))


def test_folders_are_walked_in_the_order_of_nlm(tmp_path):
    for name in ("pubmed26n0002.xml.gz", "pubmed25n1500.xml.gz", "a.jsonl", ".hidden", "pubmed26n0002.xml.gz.md5"):
        (tmp_path / name).write_bytes(JSON.encode())
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "b.nbib").write_text(NBIB)
    names = [path.removeprefix(f"{tmp_path}/") for path in expand_paths([tmp_path, "-", tmp_path / "a.jsonl"])]
    assert names == ["a.jsonl", "deeper/b.nbib", "pubmed25n1500.xml.gz", "pubmed26n0002.xml.gz", "-"]
    (tmp_path / "pubmed26n0002.xml.gz").write_bytes(gzip.compress(XML.format("utf-8", 3).encode()))
    assert open_source(tmp_path / "pubmed26n0002.xml.gz").sequence == 2600002
    assert open_source(tmp_path / "a.jsonl").sequence is None


def test_paths_that_are_not_there(tmp_path):
    for path in (tmp_path / "nothing.xml", tmp_path):
        with pytest.raises(SourceError, match=str(path)):
            expand_paths([path])


def test_deletions_come_in_order(tmp_path):
    path = tmp_path / "pubmed26n0003.xml"
    path.write_text(
        '<PubmedArticleSet><DeleteCitation><PMID Version="1">5</PMID><PMID Version="1">6</PMID></DeleteCitation>'
        "</PubmedArticleSet>"
    )
    assert list(open_source(path)) == [Deletion(5, 1), Deletion(6, 1)]


def test_it_is_known_how_much_of_a_file_has_been_read(tmp_path):
    path = tmp_path / "long.jsonl"
    path.write_text("".join(f'{{"pmid": {n}, "title": "{"t" * 500}"}}\n' for n in range(1, 5_000)))
    source = open_source(path)
    seen = [source.fraction for _ in source]
    assert seen == sorted(seen) and 0 < seen[0] < 0.6 and seen[-1] == 1.0
