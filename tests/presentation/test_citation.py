"""Citations and notices, as every output shows them."""

import pytest

from search.article import (
    NOTICE_KINDS,
    Article,
    Author,
    Book,
    Correction,
    Journal,
    PartialDate,
    PublicationType,
)
from search.presentation.citation import citation, date_text, issue, source
from search.presentation.notices import NOTICES, notice_labels, notices_of


def test_every_kind_of_notice_has_a_label():
    assert tuple(NOTICES) == NOTICE_KINDS


def test_notices_the_gravest_first():
    article = Article(
        pmid=990000001,
        title="T",
        corrections=(Correction("ErratumIn", "J. 2002", 5), Correction("ExpressionOfConcernIn", "J. 2003")),
    )
    assert notice_labels(article) == ["expression of concern", "erratum", "not a real study"]
    assert [str(notice) for notice in notices_of(article)] == [
        "EXPRESSION OF CONCERN: J. 2003",
        "ERRATUM: J. 2002 PMID 5",
        "NOT A REAL STUDY: this record was written to show how the software works.",
    ]
    assert notice_labels(Article(pmid=1, title="T", corrections=(Correction("RetractionIn"),))) == ["retracted"]
    assert notice_labels(Article(pmid=1, title="T")) == []


def test_a_retraction_by_type_and_by_notice_is_one_notice():
    types = (PublicationType("Retracted Publication"),)
    assert [str(notice) for notice in notices_of(Article(pmid=1, publication_types=types))] == ["RETRACTED"]
    both = Article(pmid=1, publication_types=types, corrections=(Correction("RetractionIn", "J. 2003", 7),))
    assert [str(notice) for notice in notices_of(both)] == ["RETRACTED: J. 2003 PMID 7"]


def test_a_title_that_asks_has_no_full_stop_after_it():
    article = Article(pmid=5, title="Do zebras sleep?", journal=Journal("Zoo"))
    assert citation(article) == "Do zebras sleep? Zoo. PMID: 5. https://pubmed.ncbi.nlm.nih.gov/5/"


def test_a_citation_has_all_that_is_known():
    article = Article(
        pmid=7,
        title="On zebras.",
        authors=tuple(Author(last_name=f"Name{n}", initials="A") for n in range(8)),
        journal=Journal(iso_abbreviation="J Zebra"),
        publication_date=PartialDate(2004, 3, 17),
        volume="3",
        issue="1",
        pages="7-9",
        doi="10.1/x",
        publication_types=(PublicationType("Retracted Publication"),),
    )
    authors = ", ".join(f"Name{n} A" for n in range(6))
    assert citation(article) == (
        f"[RETRACTED] {authors}, et al. On zebras. J Zebra. 2004 Mar 17;3(1):7-9. doi: 10.1/x. PMID: 7. "
        "https://pubmed.ncbi.nlm.nih.gov/7/"
    )


@pytest.mark.parametrize(
    "fields, expected",
    [
        ({"journal": Journal(title="Nature"), "volume": "1"}, "Nature. 1."),
        ({"journal": Journal("Nature", "N.", "Nat"), "publication_date": PartialDate(2004)}, "Nat. 2004."),
        ({"book": Book("Zebras"), "electronic_date": PartialDate(2004, 5)}, "Zebras. 2004 May."),
        ({"publication_date": PartialDate(medline_date="2000 Dec-Jan"), "pages": "e5"}, "2000 Dec-Jan:e5."),
        ({}, ""),
    ],
)
def test_where_an_article_appeared(fields, expected):
    assert source(Article(pmid=1, **fields)) == expected


@pytest.mark.parametrize(
    "date, expected",
    [
        (PartialDate(2006, 3, 1), "2006 Mar 1"),
        (PartialDate(2004, season="Summer"), "2004 Summer"),
        (PartialDate(2015, 10, medline_date="2015 Oct-Dec"), "2015 Oct-Dec"),
        (PartialDate(), ""),
    ],
)
def test_dates_as_medline_prints_them(date, expected):
    assert date_text(date) == expected


def test_an_issue_without_a_date_or_a_volume():
    assert issue(Article(pmid=1, volume="25", issue="18", pages="9966")) == "25(18):9966"
    assert issue(Article(pmid=1, publication_date=PartialDate(2004), issue="2")) == "2004;(2)"


def test_one_name_of_a_journal():
    assert Article(pmid=1, journal=Journal("Nature", "N.", "Nat")).journal_name == "Nature"
    assert Article(pmid=1, journal=Journal(medline_abbreviation="Nat")).journal_name == "Nat"
    assert Article(pmid=1, journal=Journal(medline_abbreviation="Nat")).journal_abbreviation == "Nat"
    assert Article(pmid=1, book=Book("Zebras")).journal_abbreviation == "Zebras"
    assert Article(pmid=1).journal_name == ""
