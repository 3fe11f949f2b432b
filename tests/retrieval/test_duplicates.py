"""Which hits are folded, and which must never be."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.article import Article, Author, Correction, Journal, PartialDate, PublicationType
from search.normalize import normalise_doi
from search.retrieval.duplicates import fold, title_key

TITLE = "Aspirin for the prevention of stroke: a randomised trial."


def article(pmid, title=TITLE, year=2004, **fields):
    return Article(pmid=pmid, title=title, publication_date=PartialDate(year), **fields)


def folded(*articles):
    return [[member.pmid for member in group.articles] for group in fold(articles)]


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        ({"doi": "10.1/AbC"}, {"title": "Another one", "year": 1990, "doi": "https://doi.org/10.1/aBc"}, "same DOI"),
        ({}, {"title": "[ASPIRIN for the prevention of stroke - a randomised trial]"}, "same title and year"),
        ({"title": "Étude de la fièvre jaune"}, {"title": "Etude de la fievre jaune."}, "same title and year"),
        ({"doi": "10.1/a"}, {"doi": "10.1/b"}, "same title and year"),
        ({"authors": (Author("Smith"),)}, {"authors": (Author("SMITH", "J"),)}, "same title and year"),
        ({"authors": (Author("Smith"),)}, {}, "same title and year"),
        (
            {"journal": Journal("Lancet"), "pages": "12-9"},
            {"journal": Journal("BMJ"), "pages": "5"},
            "same title and year",
        ),
    ],
)
def test_duplicates_are_folded_with_the_reason(first, second, reason):
    one, other = article(1, **first), article(2, **second)
    (group,) = fold([one, other])
    assert group.shown == one and group.folded == ((other, reason),)
    (group,) = fold([other, one])
    assert group.shown == other and group.folded == ((one, reason),)


RETRACTION = {"publication_types": (PublicationType("Retraction of Publication"),)}
ERRATUM = {"publication_types": (PublicationType("Published Erratum"),)}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({}, {"year": 2005}),
        ({"title": TITLE}, {"title": "Aspirin for the prevention of stroke: a cohort."}),
        ({"year": None}, {"year": None}),
        ({"title": "Editorial."}, {"title": "Editorial."}),
        ({"title": "Reply"}, {"title": "Reply"}),
        ({"title": "Letter to the Editor"}, {"title": "Letter to the editor."}),
        ({"title": "Authors' reply to the letters of readers"}, {"title": "Authors' reply to the letters of readers"}),
        ({"title": "Diabetes mellitus."}, {"title": "Diabetes mellitus."}),
        ({"title": ""}, {"title": ""}),
        ({"doi": ""}, {"title": "Other title of four words", "doi": " "}),
        ({"doi": "10.1/a"}, {"doi": "10.1/a", **RETRACTION}),
        ({"doi": "10.1/a"}, {"doi": "10.1/a", **ERRATUM}),
        ({"doi": "10.1/a"}, {"doi": "10.1/a", "title": "Erratum: Aspirin for the prevention of stroke"}),
        ({"doi": "10.1/a"}, {"doi": "10.1/a", "corrections": (Correction("UpdateOf", pmid=1),)}),
        ({"doi": "10.1/a", "corrections": (Correction("RetractionIn", pmid=2),)}, {"doi": "10.1/a"}),
        ({}, {"publication_types": (PublicationType("Retracted Publication"),)}),
        ({"authors": (Author("Smith"),)}, {"authors": (Author("Jones"),)}),
        ({"journal": Journal("Lancet"), "pages": "12-9"}, {"journal": Journal("The Lancet"), "pages": "45-8"}),
        (
            {"journal": Journal("Lancet"), "article_number": "e101"},
            {"journal": Journal("Lancet"), "article_number": "e102"},
        ),
        ({"journal": Journal("Lancet"), "doi": "10.1/a"}, {"journal": Journal("Lancet"), "doi": "10.1/b"}),
        (
            {"journal": Journal("Lancet"), "doi": "10.1/a", "pages": "1"},
            {"journal": Journal("Lancet"), "doi": "10.1/b", "pages": "1"},
        ),
    ],
)
def test_what_is_not_the_same_article_stays_apart(first, second):
    assert folded(article(1, **first), article(2, **second)) == [[1], [2]]


def test_the_order_of_the_ranking_is_kept():
    hits = [
        article(5, "One title of some length", doi="10.1/x"),
        article(3),
        article(9, "Two title of some length"),
        article(4),
    ]
    hits += [article(2, doi="10.1/X", title="x")]
    assert folded(*hits) == [[5, 2], [3, 4], [9]]


def test_duplicates_of_duplicates_join_the_group():
    assert folded(article(1, doi="10.1/a"), article(2, doi="10.1/A", title="Other"), article(3, doi="10.1/b")) == [
        [1, 2, 3]
    ]


def test_an_article_that_may_not_join_the_first_group_may_join_the_next():
    first = article(1, authors=(Author("Smith"),))
    second = article(2, authors=(Author("Jones"),))
    assert folded(first, second, article(3, authors=(Author("Jones"),))) == [[1], [2, 3]]


def test_normal_forms():
    assert title_key("  The β-Blocker (Über) <i>trial</i>_2. ") == "the beta blocker uber i trial i 2"
    assert normalise_doi(" doi: 10.1/ABC ") == "10.1/ABC" == normalise_doi("HTTP://dx.doi.org/10.1/ABC")
    assert normalise_doi(None) is None


_articles = st.lists(
    st.builds(
        article,
        st.integers(1, 9),
        st.sampled_from([TITLE, TITLE.upper(), "Editorial", "A second title of length", "Erratum: a title of length"]),
        st.sampled_from([None, 2004, 2005]),
        doi=st.sampled_from([None, "10.1/a", "10.1/A", "10.1/b"]),
        corrections=st.sampled_from([(), (Correction("RetractionIn", pmid=3),), (Correction("ErratumFor", pmid=4),)]),
        authors=st.sampled_from([(), (Author("Smith"),), (Author("Jones"),)]),
    ),
    max_size=8,
    unique_by=lambda found: found.pmid,
)


@settings(max_examples=200, deadline=None)
@given(_articles)
def test_nothing_is_lost_and_ranks_stay(hits):
    groups = fold(hits)
    assert sorted(member.pmid for group in groups for member in group.articles) == sorted(hit.pmid for hit in hits)
    ranks = {hit.pmid: rank for rank, hit in enumerate(hits)}
    shown = [ranks[group.shown.pmid] for group in groups]
    assert shown == sorted(shown)
    for group in groups:
        assert [ranks[member.pmid] for member in group.articles] == sorted(
            ranks[member.pmid] for member in group.articles
        )
        assert len({member.is_retracted for member in group.articles}) == 1
    assert fold([group.shown for group in groups if not group.folded]) == [
        group for group in groups if not group.folded
    ]
