"""RIS read back with rispy."""

import pytest
import rispy
from export_articles import BOOK, CHAPTER, SAMPLE, TRICKY, articles
from hypothesis import HealthCheck, given, settings

from search.article import Article, Journal, PartialDate, PublicationType
from search.formats.ris import reference_type, render
from search.normalize import clean


def read(article):
    (record,) = rispy.loads(render(article))
    return record


def test_a_tricky_article_comes_back_whole():
    record = read(TRICKY)
    abstract = " ".join(
        [
            'BACKGROUND: We asked, "does it?" See {Fig. 1}. P < 0.05 & n = 5; TI - not a tag.',
            "METHODS AND RESULTS: α-tocopherol ≥ 5 µg/mL; line two.",
            "No label here, 100%.",
        ]
    )
    assert record == {
        "type_of_reference": "JOUR",
        "authors": [
            "van der Berg, Jan Peter, Jr",
            "O'Brien-Núñez, Íñigo",
            "Silva e Costa, Maria",
            "Smith and Wesson, Ann",
            "'t Hooft, G",
            "King, M L, 3rd",
            "王, 小明",
            "Anderson, Others And",
            "World Health Organization and the {COVID} 50% Group,",
            "Aristotle",
        ],
        "title": TRICKY.title[:-1],
        "translated_title": TRICKY.vernacular_title,
        "secondary_title": "The Journal of {Odd} & Ends (Oxford, England)",
        "alternate_title1": "J Odd Ends",
        "issn": "1234-5678",
        "volume": "12 Suppl 1",
        "number": "3 Pt 2",
        "start_page": "S123",
        "end_page": "S129",
        "year": "2004",
        "date": "2004/03/17/",
        "abstract": abstract,
        "keywords": ["*Databases, Protein", "Asthma/*drug therapy/genetics", "*β-blocker", "cost, effectiveness"],
        "language": "eng; ger",
        "doi": TRICKY.doi,
        "accession_number": "12345678",
        "custom2": "PMC1234567",
        "name_of_database": "PubMed",
        "urls": ["https://pubmed.ncbi.nlm.nih.gov/12345678/"],
        "type_of_work": "Journal Article; Research Support, Non-U.S. Gov't",
        "author_address": "Dept; of A, Ghent",
        "custom1": "ClinicalTrials.gov: NCT01234567",
        "edition": "2003-12-23",
        "notes": [
            "RETRACTED: J Odd Ends. 2005;14:2 PMID 222",
            "ERRATUM: J Odd Ends. 2004;13:1 PMID 111",
        ],
    }


def test_a_chapter_and_a_book():
    chapter = read(CHAPTER)
    assert (chapter["type_of_reference"], chapter["title"], chapter["secondary_title"]) == (
        "CHAP",
        "Asthma in Children",
        "GeneReviews®",
    )
    assert chapter["secondary_authors"] == ["Adam, Margaret P", "Editorial Board,"]
    assert chapter["issn"] == "9780000000002 9780000000019" and chapter["tertiary_title"] == "NCBI Bookshelf"
    assert (chapter["publisher"], chapter["place_published"], chapter["edition"]) == (
        "University of Washington",
        "Seattle (WA)",
        "2nd",
    )
    book = read(BOOK)
    assert (book["type_of_reference"], book["title"], book["tertiary_authors"]) == ("BOOK", "Whole Book", ["Adam, M"])


@pytest.mark.parametrize(
    ("journal", "kind", "expected"),
    [
        ("J Foo", "Technical Report", "JOUR"),
        ("Daily", "Newspaper Article", "NEWS"),
        (None, "Technical Report", "RPRT"),
        (None, "Academic Dissertation", "THES"),
        (None, "Journal Article", "JOUR"),
    ],
)
def test_types_of_reference(journal, kind, expected):
    article = Article(pmid=1, journal=Journal(journal), publication_types=(PublicationType(kind),))
    assert reference_type(article) == expected


@pytest.mark.parametrize(
    ("date", "year", "shown"),
    [
        (PartialDate(2004), "2004", "2004///"),
        (PartialDate(2004, 3), "2004", "2004/03//"),
        (PartialDate(2004, season="Summer"), "2004", "2004///Summer"),
        (PartialDate(2015, medline_date="2015 Oct-Dec"), "2015", "2015///Oct-Dec"),
        (PartialDate(1998, medline_date="1998 Dec-1999 Jan"), "1998", "1998///Dec-1999 Jan"),
    ],
)
def test_dates(date, year, shown):
    record = read(Article(pmid=1, title="x", publication_date=date))
    assert (record["year"], record["date"]) == (year, shown)


def test_the_electronic_date_stands_in_for_a_missing_one():
    record = read(Article(pmid=1, electronic_date=PartialDate(2003, 1, 2)))
    assert (record["year"], record["date"]) == ("2003", "2003/01/02/")


def test_a_sample_record_says_so():
    assert read(SAMPLE)["notes"] == ["NOT A REAL STUDY: this record was written to show how the software works."]


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(article=articles)
def test_any_text_stays_in_its_field(article):
    record = read(article)
    assert "unknown_tag" not in record
    if article.book is None:
        assert record.get("title", "") == clean(article.title)
    assert record["accession_number"] == str(article.pmid)
    assert record.get("abstract", "") == clean(article.labelled_abstract)
    assert record.get("doi", "") == clean(article.doi) and record.get("volume", "") == clean(article.volume)
    assert len(record.get("keywords", [])) <= len(article.mesh_headings) + len(article.keywords)
    groups = [clean((author.collective_name or "").replace(",", " ")) for author in article.authors]
    groups = [f"{group}," for group in groups if group]
    assert [name for name in record.get("authors", []) if name in groups] == groups
