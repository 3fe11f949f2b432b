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
from search.formats.base import LeftOut, Rejection
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
    with pytest.raises(SourceError, match=r"records\.jsonl: not JSON, or cut off"):
        read(tmp_path, '[{"pmid": 1')


@pytest.mark.parametrize(
    ("line", "reason", "pmid"),
    [
        ('{"title": "x"}', "no PMID", None),
        ('{"pmid": null, "title": "x"}', "no PMID", None),
        ('{"pmid": "12a", "title": "x"}', "the PMID '12a' is not a positive whole number", None),
        ('{"pmid": true, "title": "x"}', "the PMID True", None),
        ('{"pmid": 1.5, "title": "x"}', "the PMID '1.5'", None),
        ('{"pmid": 0, "title": "x"}', "the PMID 0 is not between", None),
        ('{"pmid": -4, "title": "x"}', "the PMID '-4'", None),
        ('{"pmid": 99999999999999999999, "title": "x"}', "the PMID 99999999999999999999 is not between", None),
        ('{"pmid": 3}', "no title and no abstract", 3),
        ('{"pmid": 3, "title": " ", "abstract": ""}', "no title and no abstract", 3),
        ('{"pmid": 3, "title": 5}', "`title` is int, not text", 3),
        ('{"pmid": 3, "title": NaN}', "no title and no abstract", 3),
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


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"year": "soon"}, "`year` is left out: 'soon' is not a year or a date"),
        ({"year": "n.d."}, "`year` is left out"),
        ({"mesh": 7}, "`mesh` is left out: it is not text or a list of texts"),
        ({"authors": 7}, "`authors` is left out: it is not a list of names"),
        ({"authors": [{"id": 5}]}, "an author is left out: it has no name"),
        ({"authors": [{"last_name": " "}]}, "an author is left out: it has no name"),
        ({"languages": [1]}, "`languages` is left out"),
        ({"doi": 5}, "`doi` is left out"),
    ],
)
def test_a_bad_side_field_costs_that_field(tmp_path, fields, reason):
    left_out, found = read(tmp_path, json.dumps({"pmid": 3, "title": "x", **fields}) + "\n")
    assert isinstance(left_out, LeftOut) and left_out.pmid == 3 and left_out.where.endswith("line 1")
    assert reason in left_out.reason
    assert found == Article(pmid=3, title="x")


@pytest.mark.parametrize(
    ("authors", "names"),
    [
        ([{"lastname": "Muster", "firstname": "Anna Maria", "affiliation": "Nowhere"}], ["Muster AM"]),
        ([{"authorId": "1", "name": "Anna Muster"}, {"name": "Otto Beispiel"}], ["Muster A", "Beispiel O"]),
        ([{"lastname": "Muster", "firstname": "Anna", "initials": "A"}], ["Muster A"]),
        ("Muster A.", ["Muster A"]),
        ([{"family": "Muster", "given": "Anna"}, {"literal": "The Group"}], ["Muster A", "The Group"]),
        ("Muster|Anna B|AB|;Beispiel|Otto|O|Jr", ["Muster AB", "Beispiel O Jr"]),
        ("Muster A, Beispiel O.", ["Muster A", "Beispiel O"]),
        ("Muster, Anna", ["Muster A"]),
        (["Muster A", None], ["Muster A"]),
    ],
)
def test_the_usual_spellings_of_names(tmp_path, authors, names):
    assert [str(author) for author in one(tmp_path, {"pmid": 1, "title": "x", "authors": authors}).authors] == names


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ('{"pmid": 88000321.0, "title": "x"}', (88000321, None)),
        ('{"pmid": "88000322.0", "title": "x"}', (88000322, None)),
        ('{"pmid": 5, "title": "x", "year": 2004.0}', (5, PartialDate(2004))),
        ('{"pmid": 5, "title": "x", "year": NaN, "doi": NaN}', (5, None)),
        ('{"pmid": 5, "title": "x", "year": "2004-05"}', (5, PartialDate(2004, 5))),
        ('{"pmid": 5, "title": "x", "issued": {"date-parts": [[2004, 5, 6]]}}', (5, PartialDate(2004, 5, 6))),
        ('{"PMID": 6, "Title": "x", "Publication Year": "2020"}', (6, PartialDate(2020))),
        ('{"pubmed_id": "7\\n999", "title": "x"}', (7, None)),
        ('{"externalIds": {"PubMed": "8", "DOI": "10.1/x"}, "title": "x"}', (8, None)),
    ],
)
def test_what_pandas_and_others_make_of_numbers_and_names_of_fields(tmp_path, record, expected):
    (found,) = read(tmp_path, record + "\n")
    assert (found.pmid, found.publication_date) == (expected[0], expected[1] or PartialDate())


def test_what_pubmed_parser_gives(tmp_path):
    found = one(
        tmp_path,
        {
            "pmid": "88000301",
            "title": "T",
            "mesh_terms": "D006801:Humans; D008297:Male",
            "publication_types": "D016428:Journal Article",
            "keywords": "one; two",
            "pmc": "PMC7654321",
            "pages": "1-9",
            "languages": "eng",
            "pubdate": "2020",
        },
    )
    assert [heading.descriptor for heading in found.mesh_headings] == ["Humans", "Male"]
    assert found.publication_types == (PublicationType("Journal Article"),) and found.pmcid == "PMC7654321"
    assert (found.pages, found.year, [word.text for word in found.keywords]) == ("1-9", 2020, ["one", "two"])


@pytest.mark.parametrize(
    "text",
    [
        '{\n  "pmid": 1,\n  "title": "a"\n}',
        '{\n"pmid": 1, "title": "a"}\n{\n"pmid": 1, "title": "a"\n}',
        '[\n {"pmid": 1,\n "title": "a"}\n]',
        '{"articles": [{"pmid": 1, "title": "a"}]}',
        '{\n "articles": [\n  {\n   "pmid": 1, "title": "a"}]}',
        '{"header": {"type": "esummary"}, "result": {"uids": ["1"], "1": {"uid": "1", "title": "a"}}}',
    ],
)
def test_json_over_several_lines_and_around_records(tmp_path, text):
    assert set(read(tmp_path, text)) == {Article(pmid=1, title="a")}


def test_letters_are_composed(tmp_path):
    assert one(tmp_path, {"pmid": 1, "title": "Sante\u0301"}).title == "Sant\u00e9"
    assert one(tmp_path, {"pmid": 1, "name": 1, "title": "Sante\u0301"}).title == "Sant\u00e9"


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
