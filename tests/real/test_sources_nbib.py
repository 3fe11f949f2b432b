"""PubMed's own MEDLINE text, and real records written as such and read back."""

import gzip
import itertools
import json
from datetime import date

import pytest

from search.article import (
    AbstractSection,
    Article,
    ArticleId,
    Author,
    HistoryDate,
    Journal,
    MeshHeading,
    MeshQualifier,
    PartialDate,
)
from search.formats.byte_stream import ByteStream
from search.formats.medline.lines import NbibSource
from search.formats.medline.write import render


@pytest.fixture(scope="module")
def found(shared_data):
    """The articles of the four files by their PMIDs."""
    files = sorted((shared_data / "pubmed_nbib").glob("*.txt"))
    records = {file.name[-5]: list(NbibSource(ByteStream(file))) for file in files}
    assert {number: [article.pmid for article in articles] for number, articles in records.items()} == {
        "1": [12230038],
        "2": [16403221, 16377612, 14871861, 14630660],
        "3": [23039619],
        "4": [37195739],
    }
    return {article.pmid: article for articles in records.values() for article in articles}


def test_a_record_with_one_affiliation_before_its_authors(found):
    article = found[12230038]
    assert article.title == "The Bio* toolkits--a brief overview."
    assert article.authors == (
        Author("Mangalam", "Harry", "H", affiliations=("tacg Informatics, Irvine, CA 92612, USA. hjm@tacgi.com",)),
    )
    assert article.journal == Journal(
        "Briefings in bioinformatics",
        medline_abbreviation="Brief Bioinform",
        issn="1467-5463",
        nlm_id="100912837",
        country="England",
        issn_type="Print",
    )
    assert (article.volume, article.issue, article.pages) == ("3", "3", "296-302")
    assert article.publication_date == PartialDate(2002, 9)
    assert (article.created, article.completed, article.revised) == (
        date(2002, 9, 16),
        date(2003, 6, 6),
        date(2004, 11, 17),
    )
    assert (article.status, article.publication_status) == ("MEDLINE", "ppublish")
    assert [heading.descriptor for heading in article.mesh_headings if heading.major] == [
        "Computational Biology",
        "Programming Languages",
        "Software",
    ]
    assert len(article.mesh_headings) == 7
    assert len(article.abstract) == 1 and article.abstract[0].text.endswith("the beginning biologist programmer.")


def test_the_kind_of_an_issn_subsets_and_the_history(found):
    assert [(found[pmid].journal.issn, found[pmid].journal.issn_type) for pmid in (12230038, 37195739)] == [
        ("1467-5463", "Print"),
        ("1939-4586", "Electronic"),
    ]
    assert all(article.citation_subsets == ("IM",) for article in found.values())
    assert found[16403221].history[0] == HistoryDate("received", date(2005, 6, 17))
    assert found[37195739].history[0] == HistoryDate("medline", date(2023, 5, 17), "13:10")
    assert {article.location for article in found.values()} >= {"296-302", "mbcE22120560"}


def test_sections(found):
    labels = {pmid: [section.label for section in article.abstract] for pmid, article in found.items()}
    assert labels == {
        12230038: [None],
        16403221: ["BACKGROUND", "RESULTS", "CONCLUSION"],
        16377612: ["SUMMARY", "AVAILABILITY", "SUPPLEMENTARY INFORMATION"],
        14871861: ["SUMMARY", "AVAILABILITY"],
        14630660: [None, "AVAILABILITY"],
        23039619: ["PURPOSE", "METHODS", "RESULTS", "CONCLUSIONS"],
        37195739: [None],
    }
    assert found[16377612].abstract[2].text == (
        "A user manual, example code and images are available at http://bioinf.scri.ac.uk/lp/programs.html."
    )


def test_headings_over_two_lines(found):
    assert found[23039619].mesh_headings[1] == MeshHeading(
        "High-Intensity Focused Ultrasound Ablation",
        qualifiers=(
            MeshQualifier("adverse effects"),
            MeshQualifier("instrumentation"),
            MeshQualifier("methods", major=True),
        ),
    )
    assert found[23039619].journal.issn_linking == "0094-2405"


def test_identifiers_and_dates(found):
    article = found[16403221]
    assert (article.doi, article.pmcid) == ("10.1186/1471-2105-7-10", "PMC1373603")
    assert article.other_ids == (ArticleId("pii", "1471-2105-7-10"),)
    assert article.electronic_date == PartialDate(2006, 1, 10) and article.publication_date == PartialDate(2006)
    assert found[37195739].publication_date == PartialDate(2023, 5, 17)


def test_affiliations_of_each_author(found):
    authors = found[37195739].authors
    assert [(author.last_name, len(author.affiliations)) for author in authors] == [
        ("Oh", 1),
        ("Batty", 2),
        ("Banerjee", 1),
        ("Kim", 2),
    ]
    assert authors[3].initials == "TH" and authors[1].affiliations[0].endswith("Health Sciences Center.")


def test_what_is_read_is_written_and_read_again(found):
    class Text:
        name = "again"

        def pieces(self):
            yield "".join(map(render, found.values())).encode()

    assert list(NbibSource(Text())) == list(found.values())


def test_real_records_come_back(shared_data, tmp_path):
    with gzip.open(shared_data / "pubmed" / "records.jsonl.gz", "rt", encoding="utf-8") as lines:
        records = [json.loads(line) for line in itertools.islice(lines, 0, None, 15)]
    articles = [
        Article(
            pmid=record["pmid"],
            title=record["title"] or "",
            abstract=(AbstractSection(record["abstract"]),) if record["abstract"] else (),
            journal=Journal(record.get("journal")),
            publication_date=PartialDate(record.get("year")),
            mesh_headings=tuple(MeshHeading(name) for name in record.get("mesh") or ()),
        )
        for record in records
    ]
    path = tmp_path / "records.nbib"
    path.write_text("".join(map(render, articles)), encoding="utf-8")
    found = list(NbibSource(ByteStream(path)))
    assert len(found) == len(articles) > 2_000
    for article, again in zip(articles, found, strict=True):
        assert again.pmid == article.pmid
        assert again.title == " ".join(article.title.split())
        assert " ".join(again.labelled_abstract.split()) == " ".join(article.labelled_abstract.split())
        assert again.journal == article.journal and again.publication_date == article.publication_date
        assert again.mesh_headings == article.mesh_headings
