"""NLM's own XML records, with all that they hold, written in each format and read back by other parsers."""

import io
import re

import bibtexparser
import pytest
import rispy
from bibtexparser.middlewares import SeparateCoAuthors, SplitNameParts
from export_articles import unescaped

import search.sources
from search import export
from search.article import Article, from_json
from search.export.parts import clean, expand_pages, given_name, marks


@pytest.fixture(scope="module")
def articles(shared_data):
    if not hasattr(search.sources, "open_source"):
        pytest.skip("no reader of XML yet")
    found = {}
    for path in sorted((shared_data / "pubmed_xml").glob("*/*.xml*")):
        for record in search.sources.open_source(str(path)):
            if isinstance(record, Article):
                found[record.pmid] = record
    assert len(found) > 1_000
    return list(found.values())


def written(articles, format):
    stream = io.StringIO()
    assert export.write(articles, stream, format) == len(articles)
    return stream.getvalue()


def ris_name(author):
    if author.collective_name:
        return clean(author.collective_name) + ","
    return ", ".join(part for part in (clean(author.last_name), given_name(author), clean(author.suffix)) if part)


def test_ris_loses_nothing(articles):
    for article, record in zip(articles, rispy.loads(written(articles, "ris")), strict=True):
        assert record["accession_number"] == str(article.pmid)
        if article.book is None:
            assert record.get("title", "") == clean(article.title)
        assert record.get("abstract", "") == clean(article.labelled_abstract)
        assert record.get("authors", []) == [ris_name(author) for author in article.authors if ris_name(author)]
        assert record.get("doi", "") == clean(article.doi)
        pages = [record[key] for key in ("start_page", "end_page") if key in record]
        assert "-".join(pages) == expand_pages(article.pages)
        if "-".join(pages) != clean(article.pages):
            assert f"MEDLINE pagination: {clean(article.pages)}" in record["research_notes"]
        assert record.get("notes", []) == [str(mark) for mark in marks(article)]
        assert len(record.get("keywords", [])) == len(article.mesh_headings) + len(article.keywords)


def test_bibtex_loses_nothing(articles):
    library = bibtexparser.parse_string(
        written(articles, "bibtex"), append_middleware=[SeparateCoAuthors(), SplitNameParts()]
    )
    assert not library.failed_blocks and not library.comments
    for article, entry in zip(articles, library.entries, strict=True):
        fields = {key: field.value for key, field in entry.fields_dict.items()}
        title = article.title or (article.book.title if article.book is not None else "")
        assert plain(fields.get("title", "")) == clean(title)
        assert plain(fields.get("abstract", "")) == clean(article.labelled_abstract)
        assert fields.get("doi", "") == clean(article.doi)
        assert plain(fields.get("note", "")) == " ".join(map(str, marks(article)))
        assert fields.get("medlinepagination", fields.get("pages", "").replace("--", "-")) == clean(article.pages)
        people = [name for name in fields.get("author", []) if name.last != ["others"]]
        assert [bibtex_name(name) for name in people] == [
            (clean(author.collective_name or author.last_name), given_name(author), clean(author.suffix))
            for author in article.authors
        ]


def bibtex_name(name):
    return (
        plain(" ".join(name.von + name.last)),
        plain(" ".join(name.first)),
        plain(" ".join(name.jr)),
    )


def plain(text):
    """Return the text without TeX's escapes, and without the braces that keep a name or a title together."""
    whole = re.fullmatch(r"\{(.*)\}", text)
    return unescaped(whole[1] if whole else text)


def test_json_lines_lose_nothing(articles):
    assert [from_json(line) for line in written(articles, "jsonl").splitlines()] == articles


def test_retractions_are_marked_in_every_format(articles):
    retracted = [article for article in articles if article.is_retracted]
    assert retracted
    for article in retracted:
        for format in export.FORMATS:
            assert re.search("RETRACTED ARTICLE|Retracted Publication|\nRIN - ", export.render(article, format))
