"""JSON lines: our own form comes back unchanged, loose ones are understood, and bad lines are told one by one."""

import gzip
import json

import pytest

from search.article import (
    AbstractSection,
    Article,
    Author,
    Journal,
    MeshHeading,
    MeshQualifier,
    PartialDate,
    PublicationType,
    to_json,
)
from search.errors import SourceError
from search.formats.base import Rejection
from search.formats.open import open_source

FULL = Article(
    pmid=7,
    title="Title",
    abstract=(AbstractSection("One.", "METHODS", "METHODS"), AbstractSection("Two.")),
    journal=Journal("The Journal", issn="1234-5678"),
    publication_date=PartialDate(1998, medline_date="1998 Dec-1999 Jan"),
    authors=(Author("van der Berg", "Jan", "J"), Author(collective_name="The Group")),
    mesh_headings=(MeshHeading("Aspirin", "D001241", True, (MeshQualifier("adverse effects", "Q000009"),)),),
    languages=("eng",),
)


def read(tmp_path, data, name="records.jsonl"):
    path = tmp_path / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return list(open_source(path))


def one(tmp_path, record):
    (found,) = read(tmp_path, json.dumps(record) + "\n")
    return found


def test_our_own_form_comes_back_unchanged(tmp_path):
    small = Article(pmid=8, title="Only a title")
    assert read(tmp_path, to_json(FULL) + b"\n" + to_json(small)) == [FULL, small]


def test_a_loose_record_is_understood(tmp_path):
    record = {
        "pmid": "12",
        "title": " A  title\n",
        "abstract": "Text.",
        "year": "2004",
        "journal": "Lancet",
        "mesh": ["Aspirin", "Humans"],
        "keywords": ["pain"],
        "publication_types": ["Review"],
        "languages": ["eng"],
        "authors": ["Smith, Anna Maria", "Li X", "WHO Group", {"last_name": "Doe", "initials": "J"}],
        "doi": "https://doi.org/10.1/AbC",
        "pmcid": "PMC77",
        "source": "somewhere",
    }
    found = one(tmp_path, record)
    assert found.pmid == 12
    assert (found.title, found.abstract_text, found.year, found.journal.title) == ("A title", "Text.", 2004, "Lancet")
    assert [heading.descriptor for heading in found.mesh_headings] == ["Aspirin", "Humans"]
    assert [str(author) for author in found.authors] == ["Smith AM", "Li X", "WHO Group", "Doe J"]
    assert found.publication_types == (PublicationType("Review"),)
    assert (found.doi, found.pmcid, found.languages) == ("10.1/AbC", "PMC77", ("eng",))


def test_an_abstract_may_be_a_list_and_may_be_missing(tmp_path):
    assert one(tmp_path, {"pmid": 1, "abstract": ["One.", "", "Two."]}).abstract_text == "One. Two."
    assert one(tmp_path, {"pmid": 1, "title": "x", "abstract": None}).abstract == ()


def test_an_array_and_a_packed_file(tmp_path):
    records = [{"pmid": 1, "title": "a"}, {"pmid": 2, "title": "b"}]
    assert [found.pmid for found in read(tmp_path, json.dumps(records, indent=1))] == [1, 2]
    lines = "".join(json.dumps(record) + "\r\n" for record in records)
    assert [found.pmid for found in read(tmp_path, gzip.compress(lines.encode()), "odd.name")] == [1, 2]
    with pytest.raises(SourceError, match=r"records\.jsonl: not a JSON array"):
        read(tmp_path, '[{"pmid": 1')


@pytest.mark.parametrize(
    ("line", "reason", "pmid"),
    [
        ('{"title": "x"}', "no PMID", None),
        ('{"pmid": null, "title": "x"}', "no PMID", None),
        ('{"pmid": "12a", "title": "x"}', "the PMID '12a' is not a positive whole number", None),
        ('{"pmid": true, "title": "x"}', "the PMID True", None),
        ('{"pmid": 1.5, "title": "x"}', "the PMID 1.5", None),
        ('{"pmid": 0, "title": "x"}', "the PMID 0 is not between", None),
        ('{"pmid": -4, "title": "x"}', "the PMID '-4'", None),
        ('{"pmid": 99999999999999999999, "title": "x"}', "the PMID 99999999999999999999 is not between", None),
        ('{"pmid": 3}', "no title and no abstract", 3),
        ('{"pmid": 3, "title": " ", "abstract": ""}', "no title and no abstract", 3),
        ('{"pmid": 3, "title": 5}', "`title` is int, not text", 3),
        ('{"pmid": 3, "title": "x", "year": "soon"}', "`year` is 'soon', not a year", 3),
        ('{"pmid": 3, "title": "x", "mesh": 7}', "`mesh` is not text or a list of texts", 3),
        ('{"pmid": 3, "title": "x", "authors": 7}', "`authors` is not a list of names", 3),
        ('{"pmid": 3, "title": "x", "languages": [1]}', "`languages` is not text", 3),
        ('{"pmid": 3, "title": NaN}', "not JSON", None),
        ('{"pmid": 3, "title": "x"', "not JSON", None),
        ('["pmid", 3]', "not JSON", None),
        ("PMID 3", "not JSON", None),
        ('{"pmid": 3, "x": ' + "[" * 100_000 + "]" * 100_000 + "}", "not JSON", None),
    ],
)
def test_a_bad_line_is_rejected_and_the_next_is_read(tmp_path, line, reason, pmid):
    good = '{"pmid": 1, "title": "good"}\n'
    first, bad, last = read(tmp_path, f"{good}{line}\n{good}")
    assert first == last == Article(pmid=1, title="good")
    assert isinstance(bad, Rejection)
    assert bad.where == f"{tmp_path / 'records.jsonl'} line 2"
    assert reason in bad.reason or (line.startswith("[") and "not a record" in bad.reason)
    assert bad.pmid == pmid


def test_invalid_utf8_and_a_huge_line(tmp_path, monkeypatch):
    from search.formats import jsonl

    monkeypatch.setattr(jsonl, "_MOST_BYTES", 100_000)
    lines = b'{"pmid": 1, "title": "a"}\n{"pmid": 2, "title": "\xff"}\n{"pmid": 3, "title": "' + b"x" * 3_000_000
    first, invalid, huge, last = read(tmp_path, lines + b'"}\n{"pmid": 4, "title": "d"}')
    assert (first.pmid, last.pmid) == (1, 4)
    assert "not JSON" in invalid.reason and invalid.where.endswith("line 2")
    assert "longer than" in huge.reason and huge.where.endswith("line 3")


def test_a_pmid_twice_is_given_twice(tmp_path):
    found = read(tmp_path, '{"pmid": 1, "title": "a"}\n\n{"pmid": 1, "title": "b"}\n')
    assert [article.title for article in found] == ["a", "b"]
