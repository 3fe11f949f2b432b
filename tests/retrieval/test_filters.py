"""Filters: what they mean, told article by article, and how they are read from JSON."""

import json
import re
from datetime import date

import pytest
from filter_strategies import DAYS, PROPERTY, expressions, filters_strategy, small_articles
from hypothesis import given
from hypothesis import strategies as st

from search.article import (
    AbstractSection,
    Article,
    Correction,
    Journal,
    MeshHeading,
    MeshQualifier,
    PartialDate,
    PublicationType,
)
from search.errors import QueryError
from search.normalize import date_spans
from search.retrieval.filters import (
    MAX_DEPTH,
    And,
    Filters,
    MeshTerm,
    Not,
    Or,
    Term,
    depth_of,
    explode,
    filters_from_dict,
    filters_to_dict,
)

TRIAL = Article(
    pmid=100,
    title="A trial",
    abstract=(AbstractSection("Text."),),
    journal=Journal(
        "The New England journal of medicine", "N. Engl. J. Med.", "N Engl J Med", "0028-4793", "1533-4406"
    ),
    publication_date=PartialDate(2015, 6),
    languages=("eng",),
    mesh_headings=(
        MeshHeading("Asthma", "D001249", False, (MeshQualifier("drug therapy", "Q000188", True),)),
        MeshHeading("Child", "D002648"),
        MeshHeading("Humans", "D006801", True, (MeshQualifier("genetics", "Q000235"),)),
    ),
    publication_types=(PublicationType("Randomized Controlled Trial", "D016449"),),
    pmcid="PMC1",
)
BARE = Article(pmid=200)
RETRACTED = Article(pmid=300, corrections=(Correction("RetractionIn", pmid=301),), languages=("ger", "fre"))


@pytest.mark.parametrize(
    ("filters", "passing"),
    [
        (Filters(), {100, 200, 300}),
        (Filters(year_from=2015), {100}),
        (Filters(year_from=2016), set()),
        (Filters(year_to=2015), {100}),
        (Filters(year_to=2014), set()),
        (Filters(date_from=date(2015, 6, 30)), {100}),
        (Filters(date_from=date(2015, 7, 1)), set()),
        (Filters(date_to=date(2015, 5, 31)), set()),
        (Filters(year_from=2015, date_to=date(2015, 6, 1)), {100}),
        (Filters(journals=("new england JOURNAL of medicine",)), {100}),
        (Filters(journals=("n engl j med",)), {100}),
        (Filters(journals=("N. Engl. J. Med.",)), {100}),
        (Filters(journals=("1533-4406",)), {100}),
        (Filters(journals=("Lancet", "0028-4793")), {100}),
        (Filters(journals=("Lancet",)), set()),
        (Filters(mesh=(MeshTerm("asthma"),)), {100}),
        (Filters(mesh=(MeshTerm("d001249"),)), {100}),
        (Filters(mesh=(MeshTerm("Neoplasms"), MeshTerm("Child"))), {100}),
        (Filters(mesh=(MeshTerm("Asthma", major=True),)), {100}),
        (Filters(mesh=(MeshTerm("Child", major=True),)), set()),
        (Filters(mesh=(MeshTerm("Asthma", qualifier="Drug Therapy", major=True),)), {100}),
        (Filters(mesh=(MeshTerm("Asthma", qualifier="q000188"),)), {100}),
        (Filters(mesh=(MeshTerm("Humans", qualifier="genetics", major=True),)), {100}),
        (Filters(mesh=(MeshTerm("Asthma", qualifier="genetics"),)), set()),
        (Filters(publication_types=("randomized  controlled trial",)), {100}),
        (Filters(publication_types=("D016449",)), {100}),
        (Filters(publication_types=("Review",)), set()),
        (Filters(languages=("English",)), {100}),
        (Filters(languages=("fr", "jpn")), {300}),
        (Filters(has_abstract=True), {100}),
        (Filters(free_full_text=True), {100}),
        (Filters(not_retracted=True), {100, 200}),
        (Filters(pmids=frozenset({100, 300, 999})), {100, 300}),
        (Filters(pmids=frozenset()), set()),
        (Filters(not_pmids=frozenset({100})), {200, 300}),
        (Filters(added_since=date(2020, 1, 2)), {100, 200, 300}),
        (Filters(added_since=date(2020, 1, 3)), set()),
        (Filters(has_abstract=True, not_pmids=frozenset({100})), set()),
        (Filters(expression=Not(Term(Filters(has_abstract=True)))), {200, 300}),
        (Filters(expression=Or((Term(Filters(year_from=2015)), Term(Filters(languages=("ger",)))))), {100, 300}),
        (Filters(expression=And((Term(Filters(year_from=2015)), Term(Filters(languages=("ger",)))))), set()),
        (Filters(expression=And(())), {100, 200, 300}),
        (Filters(expression=Or(())), set()),
        (Filters(languages=("ger",), expression=Not(Term(Filters(not_retracted=True)))), {300}),
    ],
)
def test_what_passes(filters, passing):
    added = date(2020, 1, 2)
    assert {article.pmid for article in (TRIAL, BARE, RETRACTED) if filters.matches(article, added)} == passing


def test_an_article_whose_day_of_adding_is_unknown_is_not_new():
    assert not Filters(added_since=date(1900, 1, 1)).matches(TRIAL, None)


@pytest.mark.parametrize(
    ("day", "span"),
    [
        (PartialDate(2004), (20040101, 20041231)),
        (PartialDate(2004, 2), (20040201, 20040231)),
        (PartialDate(2004, 2, 9), (20040209, 20040209)),
        (PartialDate(2004, season="Winter"), (20040101, 20040331)),
        (PartialDate(2004, season="Autumn"), (20041001, 20041231)),
        (PartialDate(2004, season="Jan-Mar"), (20040101, 20040331)),
        (PartialDate(2004, 1, medline_date="2004 Jan-Mar"), (20040101, 20040331)),
        (PartialDate(2004, season="Christmas"), (20040101, 20041231)),
        (PartialDate(2015, medline_date="2015 Oct-Dec"), (20151001, 20151231)),
        (PartialDate(1998, medline_date="1998 Dec-1999 Jan"), (19981201, 19990131)),
        (PartialDate(2000, medline_date="2000 Dec-Jan"), (20001201, 20010131)),
        (PartialDate(2007, medline_date="2007 (c2006)"), (20060101, 20071231)),
        (PartialDate(1978, medline_date="1978-1979"), (19780101, 19791231)),
        (PartialDate(2000, medline_date="2000 Spring-Summer"), (20000401, 20000931)),
        (PartialDate(2000, medline_date="2000 Dec 23-30"), (20001201, 20001231)),
        (PartialDate(medline_date="1976-1977 Winter"), (19760101, 19770331)),
        (PartialDate(medline_date="Fall 2000"), (20001001, 20001231)),
        (PartialDate(2000, medline_date="?"), (20000101, 20001231)),
        (PartialDate(), (0, 0)),
    ],
)
def test_dates_are_as_wide_as_they_are_vague(day, span):
    assert date_spans(Article(pmid=1, publication_date=day)) == (span, (0, 0))
    electronic = PartialDate(2003, 1, 5)
    issue = span if span[0] else (20030105, 20030105)
    assert date_spans(Article(pmid=1, publication_date=day, electronic_date=electronic)) == (
        issue,
        (20030105, 20030105),
    )


ONLINE_FIRST = Article(pmid=1, publication_date=PartialDate(2021, 1), electronic_date=PartialDate(2020, 10, 5))
PRINT_FIRST = Article(pmid=2, publication_date=PartialDate(2020, 10), electronic_date=PartialDate(2021, 1, 5))


@pytest.mark.parametrize(
    ("filters", "passing"),
    [
        (Filters(year_from=2020, year_to=2020), {1, 2}),
        (Filters(year_from=2021, year_to=2021), {1}),
        (Filters(date_from=date(2020, 10, 1), date_to=date(2020, 10, 31)), {1, 2}),
        (Filters(date_from=date(2021, 1, 5), date_to=date(2021, 1, 5)), {1}),
        (Filters(date_from=date(2021, 1, 1), date_to=date(2021, 1, 31)), {1}),
        (Filters(date_from=date(2021, 1, 1), date_to=date(2021, 1, 30)), {1, 2}),
        (Filters(year_from=2021), {1, 2}),
        (Filters(year_from=2021, year_to=2022), {1, 2}),
        (Filters(year_from=2022), set()),
        (Filters(year_to=2019), set()),
    ],
)
def test_either_date_passes_by_pubmeds_rule(filters, passing):
    assert {article.pmid for article in (ONLINE_FIRST, PRINT_FIRST) if filters.matches(article)} == passing


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"year_from": 2020, "year_to": 2015}, "from 2020-01-01 to 2015-12-31"),
        ({"year_from": 2020, "date_to": date(2019, 5, 1)}, "to 2019-05-01"),
        ({"year_from": 0}, "year_from 0 is not a valid year"),
        ({"journals": (" ",)}, "journals holds an empty name"),
        ({"mesh": (MeshTerm(""),)}, "mesh holds an empty name"),
        ({"languages": ("Englisch",)}, "no language 'Englisch': did you mean 'english'"),
        ({"pmids": frozenset({-1})}, "-1 is not a valid PMID"),
    ],
)
def test_filters_that_cannot_be_meant(wrong, message):
    with pytest.raises(QueryError, match=message):
        Filters(**wrong)


def test_filters_from_json():
    data = json.loads(
        """{"year_from": 2015, "date_to": "2020-03-31", "journals": ["Lancet"], "languages": ["English"],
            "mesh": ["Asthma", {"descriptor": "Child", "major": true}], "pmids": [3, 1], "not_retracted": true,
            "expression": {"type": "or", "operands": [
                {"type": "not", "operand": {"type": "term", "filters": {"mesh": ["Neoplasms"]}}},
                {"type": "term", "filters": {"has_abstract": true}}]}}"""
    )
    filters = filters_from_dict(data)
    assert filters == Filters(
        year_from=2015,
        date_to=date(2020, 3, 31),
        journals=("Lancet",),
        languages=("eng",),
        mesh=(MeshTerm("Asthma"), MeshTerm("Child", major=True)),
        pmids=frozenset({1, 3}),
        not_retracted=True,
        expression=Or(
            (Not(Term(Filters(mesh=(MeshTerm("Neoplasms"),)))), Term(Filters(has_abstract=True))),
        ),
    )
    assert filters_from_dict(json.loads(json.dumps(filters_to_dict(filters)))) == filters
    assert filters_to_dict(filters)["pmids"] == [1, 3]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"yeer_from": 2015}, "no filter 'yeer_from': did you mean 'year_from'?"),
        ({"publication-types": []}, "no filter 'publication-types': did you mean 'publication_types'?"),
        ({"mesh": [{"descripter": "x"}]}, "no filter 'descripter' in mesh[0]: did you mean 'descriptor'?"),
        ({"qqq": 1}, "no filter 'qqq': there are year_from, "),
        ({"year_from": "recent"}, "filter year_from: expected `int | null`, got `str`"),
        ({"date_from": "2020"}, "filter date_from: "),
        ({"expression": {"type": "xor"}}, "filter expression.type: "),
        ({"expression": {"type": "term", "filters": {"yer_to": 1}}}, "no filter 'yer_to' in expression.filters"),
        ({"languages": ["klingonish"]}, "no language 'klingonish'"),
        ([], "filters: "),
    ],
)
def test_wrong_json_says_where_and_what_instead(data, message):
    with pytest.raises(QueryError, match=re.escape(message)):
        filters_from_dict(data)


def test_nesting_has_a_limit():
    data = {"type": "term", "filters": {}}
    for _ in range(5000):
        data = {"type": "not", "operand": data}
    with pytest.raises(QueryError, match="too deep"):
        filters_from_dict({"expression": data})


def test_filters_list_so_many_values_and_any_number_of_pmids():
    names = [f"Heading {number}" for number in range(2_500)]
    pmids = list(range(1, 30_000))
    half = {"type": "term", "filters": {"mesh": names}}
    read = filters_from_dict({"mesh": names, "expression": half, "pmids": pmids, "not_pmids": pmids})
    assert len(read.mesh) == len(read.expression.filters.mesh) == 2_500 and len(read.pmids) == 29_999
    terms = [{"type": "term", "filters": {"journals": [name]}} for name in names]
    for data in (
        {"mesh": [*names, *names, "one more"]},
        {"mesh": names, "journals": [*names, "one more"]},
        {"mesh": ["one more", *names], "expression": {"type": "not", "operand": half}},
        {"expression": {"type": "or", "operands": [*terms, *terms[:1]]}},
        {"mesh": [[names] * 3]},
    ):
        with pytest.raises(QueryError, match="list too many values: at most 5,000"):
            filters_from_dict(data)


@pytest.mark.parametrize("nested", [Not, lambda x: And((Term(Filters(has_abstract=True)), x))], ids=["not", "and"])
def test_what_is_nested_too_deep_is_refused_by_its_depth(nested):
    expression = Term(Filters(has_abstract=True))
    for depth in range(1, MAX_DEPTH + 2):
        expression = nested(expression)
        assert depth_of(expression) == depth
        data = filters_to_dict(Filters(expression=Term(Filters(expression=expression))))
        if depth <= MAX_DEPTH:
            assert filters_from_dict(data).expression.filters.expression == expression
    with pytest.raises(QueryError, match="too deep: at most 50"):
        filters_from_dict(data)


def test_explode_writes_out_the_tree_below():
    tree = {"Asthma": ("Asthma, Occupational", "D055963")}
    filters = Filters(
        mesh=(MeshTerm("Asthma", major=True), MeshTerm("Child", explode=False)),
        expression=And((Not(Term(Filters(mesh=(MeshTerm("Asthma"),)))),)),
    )
    exploded = explode(filters, lambda name: tree.get(name, ()))
    assert exploded.mesh == (
        MeshTerm("Asthma", major=True, explode=False),
        MeshTerm("Asthma, Occupational", major=True, explode=False),
        MeshTerm("D055963", major=True, explode=False),
        MeshTerm("Child", explode=False),
    )
    assert exploded.expression.operands[0].operand.filters.mesh[1] == MeshTerm("Asthma, Occupational", explode=False)
    assert explode(exploded, lambda name: tree.get(name, ())) == exploded


@PROPERTY
@given(expressions, small_articles, st.none() | DAYS)
def test_filters_come_back_from_json_unchanged(expression, article, added):
    filters = Filters(expression=expression)
    again = filters_from_dict(json.loads(json.dumps(filters_to_dict(filters))))
    assert again == filters and hash(again) == hash(filters)
    assert again.matches(article, added) == filters.matches(article, added)


@PROPERTY
@given(expressions, expressions, small_articles, st.none() | DAYS)
def test_expressions_are_boolean_algebra(left, right, article, added):
    def holds(expression):
        return Filters(expression=expression).matches(article, added)

    assert holds(Not(left)) is not holds(left)
    assert holds(Not(And((left, right)))) == holds(Or((Not(left), Not(right))))
    assert holds(And((left, right))) == (holds(left) and holds(right))


@PROPERTY
@given(filters_strategy, small_articles, st.none() | DAYS)
def test_filters_are_the_conjunction_of_their_fields(filters, article, added):
    data = filters_to_dict(filters)
    assert filters.matches(article, added) == all(
        filters_from_dict({key: value}).matches(article, added) for key, value in data.items()
    )


@PROPERTY
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(st.sampled_from([*Filters.__struct_fields__, "type", "x"]), inner, max_size=3)
        ),
        max_leaves=5,
    )
)
def test_anything_at_all_is_filters_or_a_query_error(data):
    try:
        assert isinstance(filters_from_dict(data), Filters)
    except QueryError as error:
        assert str(error)
