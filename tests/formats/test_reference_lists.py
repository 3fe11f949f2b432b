"""References as reference managers and databases write them, and as they should not be written."""

import gzip
import io

import pytest

from search.article import Article, Author, Journal, PartialDate
from search.errors import SourceError
from search.formats.base import Rejection
from search.formats.export import FORMATS, write
from search.formats.reference_lists import Reference, read_references

ARTICLE = Article(
    pmid=12345678, title="Aspirin & stroke: 5% of Müller's patients.", doi="10.1000/Xyz_1", pmcid="PMC77",
    authors=(Author("van der Berg", "Jan Otto"), Author("Müller", "Åsa")), journal=Journal("The Journal", "J"),
    publication_date=PartialDate(2004, 3), volume="12", issue="3", pages="123-9",
)  # fmt: skip


def read(tmp_path, content, name="references"):
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(read_references(path))


@pytest.mark.parametrize("format", ["ris", "bibtex", "nbib", "csl", "csv", "jsonl"])
def test_what_the_program_writes_is_read_again(tmp_path, format):
    stream = io.StringIO()
    assert format in FORMATS
    write([ARTICLE], stream, format)
    (found,) = read(tmp_path, stream.getvalue())
    assert (found.pmid, found.doi, found.pmcid) == (12345678, "10.1000/xyz_1", "PMC77")
    assert found.title.rstrip(".") == "Aspirin & stroke: 5% of Müller's patients"
    assert (found.year, found.volume) == (2004, "12") and found.pages.startswith("123")
    assert found.family_name == "van der Berg"


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_ris_as_others_write_it(tmp_path, ends):
    text = "\ufeff1. \nTY  - JOUR\nT1  - A title that goes\n on here\nA1  - Smith JA\nY1  - 2010/05//\nJO  - J\n"
    text += (
        "UR  - https://doi.org/10.1000/ABC.\nM3  - Article\nER  -\n\nTY - JOUR\nTI - Another\nAN - 77\nDP - MEDLINE\n"
    )
    text += "TY  - JOUR\nAU  - Nobody\nER  - \n"
    first, second, third = read(tmp_path, text.replace("\n", ends))
    assert (first.title, first.year, first.family_name, first.doi) == (
        "A title that goes on here", 2010, "Smith", "10.1000/abc"
    )  # fmt: skip
    assert (second.title, second.pmid) == ("Another", 77)
    assert isinstance(third, Rejection) and third.where.endswith("line 16")


def test_an_accession_number_of_another_database_is_no_pmid(tmp_path):
    (found,) = read(tmp_path, "TY  - JOUR\nTI  - Zebras\nAN  - 2004567\nDB  - Embase\nER  - \n")
    assert found.pmid is None


def test_bibtex_as_others_write_it(tmp_path):
    text = r"""
    % a comment
    @string{jz = "J Zebra"}
    @Article{key1,
      title = {{On {\"O}sten and \'{e}lan}: na\"{\i}ve},
      author = "M{\"u}ller, J{\'o}zef and Smith, A. and {The Group}",
      year = 2004, journal = jz # " Suppl", pages = {1--9}, note = {PMID: 77},
    }
    @misc(key2, title = "A {"}quoted{"} word", doi={https://dx.doi.org/10.1000/A})
    @article{broken, title = {never closed
    """
    first, second, third = read(tmp_path, text)
    assert first.title == "On Östen and élan: naïve"
    assert (first.family_name, first.authors[2], first.year, first.pages) == ("Müller", "Group, The", 2004, "1-9")
    assert first.pmid == 77
    assert (second.title, second.doi) == ('A "quoted" word', "10.1000/a")
    assert isinstance(third, Rejection) and third.reason == "the entry is not closed"


def test_csl_json_as_zotero_writes_it(tmp_path):
    text = """[{"id":"a","type":"article-journal","title":"T <i>x</i>","author":[{"family":"Lee","given":"A"}],
    "issued":{"date-parts":[["2004",3]]},"DOI":"10.1000/A","note":"PMID: 77\\nPMCID: PMC8"}, {"type":"book"}, 5]"""
    first, *others = read(tmp_path, text)
    assert (first.title, first.year, first.pmid, first.doi, first.family_name) == ("T x", 2004, 77, "10.1000/a", "Lee")
    assert all(isinstance(entry, Rejection) for entry in others) and len(others) == 2


def test_tables_as_databases_export_them(tmp_path):
    scopus = '"Authors","Title","Year","Source title","Volume","Page start","DOI","PubMed ID"\n'
    scopus += '"Smith J.A., Lee B.","A title","2010","J","5","7","10.1000/A","77.0"\n"","","","","","","",""\n'
    first, second = read(tmp_path, scopus)
    assert (first.pmid, first.doi, first.family_name, first.pages) == (77, "10.1000/a", "Smith", "7")
    assert isinstance(second, Rejection)
    (found,) = read(tmp_path, "Title;Year\nOn zebras;2004\n")
    assert (found.title, found.year) == ("On zebras", 2004)


def test_lists_of_identifiers(tmp_path):
    text = (
        "\ufeffPMID\r\n12345678\r\n\r\n# a comment\r\nPMID: 77\r\n10.1000/A\r\nhttps://doi.org/10.1000/b.\r\nPMC5\r\n"
    )
    text += "https://pubmed.ncbi.nlm.nih.gov/99/\r\nnonsense\r\n0\r\n"
    *found, bad, zero = read(tmp_path, text)
    assert [entry.pmid or entry.doi or entry.pmcid for entry in found] == [
        12345678, 77, "10.1000/a", "10.1000/b", "PMC5", 99
    ]  # fmt: skip
    assert isinstance(bad, Rejection) and bad.reason == "'nonsense' is not a PMID, DOI or PMCID"
    assert isinstance(zero, Rejection)


def test_files_that_are_none(tmp_path):
    with pytest.raises(SourceError, match="is empty"):
        read(tmp_path, " \n")
    with pytest.raises(SourceError, match="holds no PubMed records"):
        read(tmp_path, "Dear colleague,\nplease find enclosed\n")
    with pytest.raises(SourceError, match="there is no such file|cannot be read|No such file"):
        list(read_references(tmp_path / "none"))
    packed = gzip.compress(b"TY  - JOUR\nTI  - Zebras\nER  - \n" * 5000)
    with pytest.raises(SourceError):
        read(tmp_path, packed[: len(packed) // 2])
    assert read(tmp_path, packed)[0] == Reference(where=f"{tmp_path}/references line 1", title="Zebras")
