"""Random filters, and random articles that they often let pass."""

from datetime import date

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from search.article import (
    AbstractSection,
    Article,
    Journal,
    MeshHeading,
    MeshQualifier,
    PartialDate,
    PublicationType,
)
from search.errors import QueryError
from search.retrieval.filters import And, Filters, MeshTerm, Not, Or, Term

PROPERTY = settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow], deadline=None)
_years = st.integers(2000, 2004)
DAYS = st.dates(date(2000, 1, 1), date(2004, 12, 31))
_names = st.sampled_from(["Asthma", "asthma ", "D001249", "Child", "Lancet", "THE lancet.", "Review", "1234-5678"])


def _leaf_filters(**values):
    try:
        return Filters(**values)
    except QueryError:
        return Filters()


filters_strategy = st.builds(
    _leaf_filters,
    year_from=st.none() | _years,
    year_to=st.none() | _years,
    date_from=st.none() | DAYS,
    date_to=st.none() | DAYS,
    journals=st.lists(_names, max_size=2).map(tuple),
    mesh=st.lists(st.builds(MeshTerm, _names, st.booleans(), st.none() | _names, st.booleans()), max_size=2).map(tuple),
    publication_types=st.lists(_names, max_size=2).map(tuple),
    languages=st.lists(st.sampled_from(["eng", "English", "fre"]), max_size=2).map(tuple),
    designs=st.lists(st.sampled_from(["randomized trial", "cohort"]), max_size=1).map(tuple),
    min_n=st.none() | st.integers(1, 200),
    has_abstract=st.booleans(),
    free_full_text=st.booleans(),
    not_retracted=st.booleans(),
    added_since=st.none() | DAYS,
    pmids=st.none() | st.frozensets(st.integers(1, 5)),
    not_pmids=st.frozensets(st.integers(1, 5), max_size=2),
)
expressions = st.recursive(
    st.builds(Term, filters_strategy),
    lambda inner: (
        st.builds(And, st.lists(inner, max_size=3).map(tuple))
        | st.builds(Or, st.lists(inner, max_size=3).map(tuple))
        | st.builds(Not, inner)
    ),
    max_leaves=4,
)
_qualifiers = st.builds(MeshQualifier, _names, st.none() | _names, st.booleans())
small_articles = st.builds(
    Article,
    pmid=st.integers(1, 5),
    journal=st.builds(Journal, st.none() | _names),
    publication_date=st.builds(
        PartialDate, st.none() | _years, st.none() | st.integers(1, 12), st.none() | st.integers(1, 28)
    ),
    electronic_date=st.none()
    | st.builds(PartialDate, st.none() | _years, st.none() | st.integers(1, 12), st.none() | st.integers(1, 28)),
    languages=st.lists(st.sampled_from(["eng", "fre"]), max_size=2).map(tuple),
    mesh_headings=st.lists(
        st.builds(MeshHeading, _names, st.none() | _names, st.booleans(), st.lists(_qualifiers, max_size=2).map(tuple)),
        max_size=2,
    ).map(tuple),
    publication_types=st.lists(st.builds(PublicationType, _names, st.none() | _names), max_size=2).map(tuple),
    pmcid=st.none() | st.just("PMC1"),
    abstract=st.sampled_from(
        [
            (),
            (AbstractSection("x"),),
            (AbstractSection(" "),),
            (AbstractSection("We randomised 120 patients in a cohort."),),
        ]
    ),
)
