"""Every record of the real data written in each format and read back by other parsers."""

import csv
import gzip
import io
import itertools
import json
import re

import bibtexparser
import pytest
import rispy
from export_articles import unescaped

from search.article import (
    AbstractSection,
    Article,
    Journal,
    MeshHeading,
    PartialDate,
    from_json,
)
from search.formats import export
from search.formats.bibtex import citation_key
from search.formats.citation_fields import bare_title
from search.normalize import clean


@pytest.fixture(scope="module", params=[15, pytest.param(1, marks=pytest.mark.slow)], ids=["some", "all"])
def articles(shared_data, request):
    """Every n-th record; each one of them where slow tests are run."""
    with gzip.open(shared_data / "pubmed" / "records.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [_article(json.loads(line)) for line in itertools.islice(lines, 0, None, request.param)]


def _article(record):
    return Article(
        pmid=record["pmid"],
        title=record["title"] or "",
        abstract=(AbstractSection(record["abstract"]),) if record["abstract"] else (),
        journal=Journal(record.get("journal")),
        publication_date=PartialDate(record.get("year")),
        mesh_headings=tuple(MeshHeading(name) for name in record.get("mesh") or ()),
    )


def written(articles, format):
    stream = io.StringIO()
    assert export.write(articles, stream, format) == len(articles)
    return stream.getvalue()


def test_ris(articles):
    records = rispy.loads(written(articles, "ris"))
    assert len(records) == len(articles) > 2_000
    for article, record in zip(articles, records, strict=True):
        assert record["accession_number"] == str(article.pmid)
        assert record.get("title", "") == bare_title(article.title)
        assert record.get("abstract", "") == clean(article.labelled_abstract)
        assert record.get("secondary_title", "") == clean(article.journal.title)
        assert record.get("keywords", []) == [clean(heading.descriptor) for heading in article.mesh_headings]
        assert record.get("year", "") == str(article.year or "")


def test_bibtex(articles):
    library = bibtexparser.parse_string(written(articles, "bibtex"))
    assert not library.failed_blocks and not library.comments
    assert [entry.key for entry in library.entries] == [citation_key(article) for article in articles]
    for article, entry in zip(articles, library.entries, strict=True):
        fields = {key: field.value for key, field in entry.fields_dict.items()}
        assert unescaped(fields.get("title", "")[1:-1]) == bare_title(article.title)
        assert unescaped(fields.get("abstract", "")) == clean(article.labelled_abstract)
        assert unescaped(fields.get("journal", "")) == clean(article.journal.title)
        assert fields["pmid"] == str(article.pmid)


def test_csv(articles):
    rows = list(csv.DictReader(io.StringIO(written(articles, "csv"), newline="")))
    assert len(rows) == len(articles)
    for article, row in zip(articles, rows, strict=True):
        assert row["pmid"] == str(article.pmid)
        assert row["title"].removeprefix("'").replace("; ", ";") == bare_title(article.title).removeprefix("'").replace(
            "; ", ";"
        )
        assert row["abstract"].replace("; ", ";").lstrip("'") == clean(article.labelled_abstract).replace(
            "; ", ";"
        ).lstrip("'")
        assert not re.match("[=+@-]", row["title"]) and not re.match("[=+@-]", row["abstract"])


def test_json_lines(articles):
    assert [from_json(line) for line in written(articles, "jsonl").splitlines()] == articles


def test_nbib(articles):
    records = written(articles, "nbib").split("\n\n")
    assert records.pop() == "" and len(records) == len(articles)
    for article, record in zip(articles, records, strict=True):
        fields = dict(line.split("- ", 1) for line in record.replace("\n      ", " ").split("\n"))
        assert fields["PMID"] == str(article.pmid)
        assert fields.get("TI  ", "") == clean(article.title)
        assert fields.get("AB  ", "") == clean(article.labelled_abstract)
        assert fields.get("JT  ", "") == clean(article.journal.title)
