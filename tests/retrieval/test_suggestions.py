"""What is typed is completed with values that articles have, as they spell them."""

from contextlib import closing

import pytest
from helpers import article, put

from search.article import Author, Journal, MeshHeading, PublicationType
from search.errors import QueryError
from search.retrieval.mesh_tree import MeshTree
from search.retrieval.suggestions import Suggestion, suggestions
from search.storage import backend


@pytest.fixture
def view(address, encoder):
    trial, review = PublicationType("Randomized Controlled Trial"), PublicationType("Review")
    journal = Journal(
        title="The New England journal of medicine", medline_abbreviation="N Engl J Med", issn="0028-4793"
    )
    headings = (MeshHeading("Heart Failure"), MeshHeading("Myocardial Infarction"))
    smith = Author(last_name="O'Smith", initials="JA")
    put(address, encoder, article(1, "a", publication_types=(trial,), journal=journal, authors=(smith,)), merge=True)
    put(address, encoder, article(2, "b", publication_types=(trial, review), mesh_headings=headings, authors=(smith,)))
    with closing(backend.open_reader(address)) as reader, reader.view() as view:
        yield view


@pytest.mark.parametrize(
    ("field", "prefix", "values"),
    [
        ("type", "r", [("Randomized Controlled Trial", 2), ("Review", 1)]),
        ("type", "RANDOMIZED c", [("Randomized Controlled Trial", 2)]),
        ("mesh", "heart f", [("Heart Failure", 1)]),
        ("journal", "n engl", [("N Engl J Med", 1)]),
        ("journal", "002", []),
        ("author", "o'smith j", [("O'Smith JA", 2)]),
        ("author", "o sm", [("O'Smith JA", 2)]),
        ("mesh", "zebra", []),
        ("mesh", " ", []),
    ],
)
def test_values_begin_as_typed(view, field, prefix, values):
    assert [(row.value, row.articles) for row in suggestions(view, field, prefix, 10)] == values


def test_a_heading_is_found_by_an_entry_term(view, tmp_path):
    file = tmp_path / "d2026.bin"
    file.write_text(
        "*NEWRECORD\nMH = Myocardial Infarction\nENTRY = Heart Attack|T047\nMN = C14.280\nUI = D009203\n\n"
        "*NEWRECORD\nMH = Heart Arrest\nMN = C14.281\nUI = D006323\n"
    )
    expected = [Suggestion("Heart Failure", 1), Suggestion("Myocardial Infarction", 1, "Heart Attack")]
    assert suggestions(view, "mesh", "heart", 10, MeshTree(file)) == expected
    assert suggestions(view, "mesh", "heart", 1, MeshTree(file)) == expected[:1]


def test_an_unknown_field_is_refused(view):
    with pytest.raises(QueryError, match="no field 'journals': did you mean 'journal'"):
        suggestions(view, "journals", "n", 10)
