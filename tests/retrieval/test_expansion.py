"""Acronyms, misspelled words, everyday names and entry terms of a question are understood by what an index holds."""

from contextlib import closing

import pytest
from helpers import article, put

from search.retrieval.engine import Engine
from search.retrieval.expansion import Change, expand
from search.retrieval.mesh_tree import MeshTree
from search.retrieval.request import SearchOptions
from search.storage import backend

HEART, TALK = "myocardial infarction", "motivational interviewing"

TEXTS = [
    *["Hypertension and diabetes in the elderly"] * 25,
    *["Myocardial infarction (MI) in men"] * 4,
    *["Motivational interviewing (MI) against smoking"] * 3,
    *["Mitral insufficiency (MI) of the valve"] * 1,
    *["Aspirin after a heart attack prevents the next"] * 65,
    "The red deer, or hart, in the wild",
]


@pytest.fixture
def engine(address, encoder):
    articles = [article(pmid, text, "Abstract.") for pmid, text in enumerate(TEXTS, start=1)]
    put(address, encoder, *articles[:80], merge=True)
    put(address, encoder, *articles[80:])
    with closing(backend.open_reader(address)) as reader:
        yield Engine(reader, encoder.encode)


@pytest.mark.parametrize(
    ("question", "text", "changes"),
    [
        ("MI", HEART, [Change("acronym", "MI", HEART, (f"{TALK} (3)",))]),
        ("MI in men", f"{HEART} in men", [Change("acronym", "MI", HEART)]),
        ("MI for smoking", f"{TALK} for smoking", [Change("acronym", "MI", TALK)]),
        ("myocardial infarction (MI)", "myocardial infarction (MI)", []),
        ("asprin", "aspirin", [Change("spelling", "asprin", "aspirin")]),
        ("hypertenssion and diabetis", "hypertension and diabetes", None),
        ("asprin for hart attack", "aspirin for myocardial infarction", None),
        ("red hart", "red hart", []),
        ("hart", "hart", []),
        ("does aspirin help the elderly", "does aspirin help the elderly", []),
        ("XYZ of zzzzqqq", "XYZ of zzzzqqq", []),
        ("asprin7 and the asprin_x", "asprin7 and the asprin_x", []),
    ],
)  # fmt: skip
def test_a_question_is_understood(engine, question, text, changes):
    with engine._reader.view() as view:
        expansion = expand(view, question)
    assert expansion.text == text
    if changes is not None:
        assert list(expansion.changes) == changes
    if not expansion.changes:
        assert not expansion.terms


def test_a_heading_is_looked_for_by_its_synonym_in_bm25_alone(engine, tmp_path):
    file = tmp_path / "d2026.bin"
    file.write_text("*NEWRECORD\nMH = Hypertension\nENTRY = High Blood Pressure|T047\nMN = C14.907\nUI = D006973\n")
    with engine._reader.view() as view:
        expansion = expand(view, "high blood pressure in men", MeshTree(file))
        known = expand(view, "hypertension in men", MeshTree(file))
    assert expansion.text == "high blood pressure in men"
    assert expansion.changes == (Change("heading", "high blood pressure", "Hypertension"),)
    assert expansion.terms == {("text", "hypertens"): 0.5, ("title", "hypertens"): 0.1, ("mesh", "hypertens"): 0.15}
    assert not known.changes and not known.terms


@pytest.mark.parametrize("mode", ["semantic", "lexical", "hybrid"])
def test_hits_are_those_of_what_is_meant_and_tell_it(engine, mode):
    def found(question, **options):
        (hits,) = engine.search([question], SearchOptions(mode=mode, limit=5, feedback=False, **options))
        return [hit.pmid for hit in hits], hits[0].changes if hits else ()

    meant, changes = found("asprin")
    assert meant == found("aspirin")[0] and changes == (Change("spelling", "asprin", "aspirin"),)
    assert found("asprin", exact=True)[0] != meant and found("asprin", exact=True)[1] == ()


def test_a_question_in_which_all_is_known_is_answered_as_exact_to_the_digit(engine):
    questions = ["aspirin after heart problems", "diabetes in elderly men"]
    for mode in ("semantic", "lexical", "hybrid"):
        options = SearchOptions(mode=mode)
        exact = SearchOptions(mode=mode, exact=True)
        # In one batch with questions that are changed, too.
        first, second, _ = engine.search([*questions, "asprin after heart problems"], options)
        assert [first, second] == engine.search(questions, exact)


@pytest.mark.parametrize(
    ("question", "long"),
    [("PPI", "proton pump inhibitors"), ("PTSD", "post traumatic stress disorder"), ("MI", "myocardial infarction")],
)
def test_long_forms_that_are_alike_are_one_sense(address, encoder, question, long):
    texts = [
        # Of these the algorithm learns `pump inhibitor`, the shortest that has the letters.
        *["Proton pump inhibitor (PPI) for ulcers"] * 6,
        *["Proton-pump inhibitors (PPI) for reflux"] * 2,
        *["Posttraumatic stress disorder (PTSD) in soldiers"] * 4,
        *["Post-traumatic stress disorder (PTSD) in children"] * 3,
        *["Medication after myocardial infarction (MI)"] * 2,
        *["M-mode in post-myocardial infarction (MI)"] * 3,
    ]
    put(address, encoder, *(article(pmid, text) for pmid, text in enumerate(texts, start=1)), merge=True)
    with closing(backend.open_reader(address)) as reader, reader.view() as view:
        (change,) = expand(view, question).changes
    assert change == Change("acronym", question, long)


def test_a_deleted_article_defines_no_acronym(address, encoder):
    put(address, encoder, *(article(pmid, "Myocardial infarction (MI)", "A.") for pmid in (1, 2)), merge=True)
    writer = backend.open_writer(address)
    writer.store.delete([1])
    writer.close()
    with closing(backend.open_reader(address)) as reader, reader.view() as view:
        assert expand(view, "MI").changes == ()
