"""A strategy finds just the records that a plain reading of each record says it selects."""

import random
from contextlib import closing
from datetime import date

import pytest
from helpers import article, put, words_manifest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_strategy import holds

from search.article import (
    AbstractSection,
    AccessionNumber,
    Article,
    ArticleId,
    Author,
    Correction,
    Grant,
    HistoryDate,
    Journal,
    Keyword,
    MeshHeading,
    MeshQualifier,
    OtherAbstract,
    PartialDate,
    PublicationType,
    Substance,
)
from search.errors import QueryError, TimeLimitError
from search.retrieval.strategy import parse_strategy
from search.retrieval.strategy.evaluation import StrategyEvaluation, is_near
from search.storage import backend
from search.time_limit import time_limit

TODAY = date(2024, 3, 31)
_VOCABULARY = (
    "aspirin heart attack Herz-Attacke infection infections infect α-synuclein TNFα Sjögren's low-dose the of 5 10,000 "
    "heart pain pain hip knee co2 CO₂ naïve cross-over randomised randomized"
)
_WORDS = _VOCABULARY.split()
_TREE = {
    "infections": ["Bacterial Infections", "Sepsis"],
    "heart diseases": ["Heart Attack"],
    "clinical study": ["Review"],
}


def below(name):
    return _TREE.get(name.lower(), [])


def made_article(pmid, rng):
    """A record in which the few words, names and dates that strategies ask for are often there."""

    def some(choices, most=2):
        return rng.sample(choices, rng.randint(0, min(most, len(choices))))

    def text(most):
        return " ".join(rng.choice(_WORDS) for _ in range(rng.randint(1, most)))

    people = [
        Author(last_name="Smith", fore_name="John Albert", initials="JA", affiliations=("Institute of the Hip, Knee",)),
        Author(last_name="Smith", fore_name="Jane", initials="J", suffix="Jr"),
        Author(last_name="Smith", initials="J"),
        Author(last_name="Smith", suffix="Jr"),
        Author(last_name="Smith Jones", initials="K", affiliations=("Pain Clinic", "Hip Hospital")),
        Author(last_name="O'Brien", fore_name="Flann", initials="F"),
        Author(collective_name="Heart Attack Group"),
    ]
    names = [
        MeshQualifier("drug therapy", major=rng.random() < 0.3),
        MeshQualifier("surgery"),
        MeshQualifier("therapy"),
    ]
    headings = ["Infections", "Bacterial Infections", "Sepsis", "Heart Attack", "Heart-Lung Machine", "Pain"]
    return Article(
        pmid=pmid,
        title=text(6).capitalize() + ".",
        vernacular_title=rng.choice([None, "Herz und Schmerz"]),
        abstract=tuple(AbstractSection(text(9), rng.choice([None, "METHODS"])) for _ in range(rng.randint(0, 2))),
        other_abstracts=tuple(OtherAbstract((AbstractSection(text(5)),)) for _ in range(rng.randint(0, 1))),
        keywords=tuple(Keyword(text(2)) for _ in range(rng.randint(0, 3))),
        authors=tuple(some(people, 3)),
        journal=rng.choice(
            [
                Journal(),
                Journal(title="The Lancet. Oncology", medline_abbreviation="Lancet Oncol", issn="1474-5488"),
                Journal(title="Science (New York, N.Y.)", iso_abbreviation="Science"),
            ]
        ),
        volume=rng.choice([None, "12"]),
        issue=rng.choice([None, "3"]),
        pages=rng.choice([None, "12-9", "e77"]),
        publication_date=rng.choice(
            [
                PartialDate(),
                PartialDate(year=2015),
                PartialDate(year=2015, month=3),
                PartialDate(year=2016, month=12, day=31),
                PartialDate(year=2016, season="Summer"),
                PartialDate(medline_date="2015 Oct-Dec"),
            ]
        ),
        electronic_date=rng.choice([None, PartialDate(year=2015, month=2, day=3), PartialDate(year=2017, month=1)]),
        languages=tuple(some(["eng", "fre"])),
        mesh_headings=tuple(
            MeshHeading(name, major=rng.random() < 0.3, qualifiers=tuple(some(names))) for name in some(headings, 3)
        ),
        publication_types=tuple(map(PublicationType, some(["Review", "Systematic Review", "Letter"]))),
        substances=tuple(Substance(name, registry_number="0") for name in some(["Aspirin", "co2"])),
        corrections=tuple(Correction(kind, citation="Heart 2015") for kind in some(["ErratumIn", "RetractionIn"], 1)),
        grants=tuple(Grant(number="R01 HL5", agency="NHLBI NIH HHS") for _ in some([1])),
        doi=rng.choice([None, "10.1000/xyz.5"]),
        other_ids=tuple(ArticleId("pii", value) for value in some(["S0140-6736(05)1"])),
        pmcid=rng.choice([None, "PMC77"]),
        status=rng.choice(["MEDLINE", "Publisher", None]),
        created=rng.choice([None, date(2015, 3, 4)]),
        history=tuple(HistoryDate(status, date(2015, 5, rng.randint(1, 28))) for status in some(["pubmed", "medline"])),
        personal_name_subjects=tuple(some(people[:2], 1)),
        accession_numbers=tuple(AccessionNumber(*pair) for pair in some([("GENBANK", "AF1"), ("GEO", "")])),
        gene_symbols=tuple(some(["hip1"])),
        article_number=rng.choice([None, "e80092"]),
    )


@pytest.fixture(scope="module", params=["folder", "postgres"])
def indexed(request, tmp_path_factory, encoder):
    """An index whose articles were merged, revised, deleted and added, and the articles it should hold."""
    if request.param == "folder":
        address = tmp_path_factory.mktemp("strategy") / "index"
    else:
        from postgres_server import new_address

        address = new_address(request.getfixturevalue("postgres_server"))
    backend.create(address, words_manifest(encoder))
    rng = random.Random(24)
    articles = {pmid: made_article(pmid, rng) for pmid in range(1, 241)}
    put(address, encoder, *articles.values(), merge=True)
    for pmid in range(200, 230):
        articles[pmid] = made_article(pmid, rng)
    for pmid in range(241, 281):
        articles[pmid] = made_article(pmid, rng)
    put(address, encoder, *(articles[pmid] for pmid in (*range(200, 230), *range(241, 281))))
    writer = backend.open_writer(address)
    writer.store.delete(range(190, 196))
    writer.close()
    for pmid in range(190, 196):
        del articles[pmid]
    reader = backend.open_reader(address)
    yield reader, articles
    reader.close()


def check(indexed, text):
    """Compare what an index finds for a strategy, and its counts by line, with a plain reading; return the PMIDs."""
    reader, articles = indexed
    strategy = parse_strategy(text, today=TODAY)
    lines = {line.number: line.tree for line in strategy.lines}
    with reader.view() as view:
        evaluation = StrategyEvaluation(strategy, view.tokens, view.store, below)
        found = evaluation.pmids().tolist()
        counts = [line.count for line in evaluation.counts()]
    for number, count in zip(lines, counts, strict=True):
        expected = [pmid for pmid, record in articles.items() if holds(lines[number], record, lines, below)]
        assert count == len(expected), (number, text)
    assert found == sorted(expected), text
    return found


_TEXT = """
aspirin[ti]; aspirin[tiab]; INFECTION[ti]; INFECTION[tiab]; sjogren[ti]; sjogren[tiab]; tnfalpha[ti];
tnfalpha[tiab]; co2[ti]; co2[tiab]; naive[ti]; naive[tiab]; heart attack[tiab]; "low dose"[ti]; low-dose[ab]; herz
attacke[tw]; alpha synuclein[all]; 10 000[tiab]; infect*[tiab]; "heart att*"[tiab]; heart infect*[tw]; rando*[ti];
"hip kn*"[ad]; aspirin; heart attack; the heart; of the; low-dose; "heart attack"; smith; nhlbi; lancet; 2015; hip
pain*; "hip pain"[tiab:~0]; "pain hip"[tiab:~2]; "pain pain"[ti:~1]; "hip pain knee"[tiab:~2]; "hip knee"[ad:~1];
"clinic hip"[ad:~9]; "aspirin heart"[ti:~3]; "aspirin of heart"[ab:~1]; smith[au]; smith j[au]; "smith j"[au]; smith
ja[au]; smith j jr[au]; smith john[au]; john smith[au]; smith, john albert[fau]; jane smith[fau]; smith j[1au];
o'brien f[lastau]; obrien[au]; smith jones k[au]; smit*[au]; smith jr[au]; "smith jane"[fau]; heart attack
group[cn]; attack[cn]; nih[gr]; R01 HL5[gr]; infections[mh]; infections[mh:noexp]; infections[majr]; "Heart
Attack"[mesh]; heart diseases[mh]; heart*[mh]; infections/drug therapy[mh]; infections/dt[mh]; sepsis/therapy[majr];
pain/therapy[mh:noexp]; therapy[sh]; surgery[sh]; drug therapy[sh:noexp]; review[pt]; review[pt:noexp]; clinical
study[pt]; english[la]; eng[la]; french[la]; lancet oncol[ta]; The Lancet Oncology[ta]; science[ta]; lance*[ta];
1474-5488[is]; 12[vi]; 3[ip]; 12[pg]; e77[pg]; 10.1000/xyz.5[doi]; S0140-673[ti]; aspirin[nm]; medline[sb]; free
full text[sb]; hasabstract; haserratumin; haskeyword; 7 8[pmid]; 7[pmid]; 2015[dp]; 2015:2015[dp]; 2015/03[dp];
2015/02/03:2015/10[dp]; 2016/07[ppdat]; 2017[epdat]; 2015[crdt]; "last 8 years"[dp]; 2016/12/31[dp]; herz[tt];
x[cois]; hip[ad]; 2015/05/10:2015/05/20[edat]; 2015/05[mhda]; smith j[ps]; genbank[si]; geo[si]; genbank/af1[si];
hip1; e80092[aid]
"""
_TERMS = [" ".join(term.split()) for term in _TEXT.split(";")]


@pytest.mark.parametrize("term", _TERMS)
def test_one_term(indexed, term):
    check(indexed, term)


def test_the_terms_are_not_idle(indexed):
    reader, _ = indexed
    empty = []
    with reader.view() as view:
        for term in _TERMS:
            strategy = parse_strategy(term, today=TODAY)
            if not len(StrategyEvaluation(strategy, view.tokens, view.store, below).pmids()):
                empty.append(term)
    assert set(empty) <= {"obrien[au]", "x[cois]", "S0140-673[ti]", '"smith jane"[fau]', '"clinic hip"[ad:~9]'}


@settings(max_examples=150, deadline=None)
@given(st.recursive(
    st.sampled_from(_TERMS),
    lambda parts: st.lists(st.tuples(st.sampled_from(["AND", "OR", "NOT"]), parts), min_size=2, max_size=4).map(
        lambda some: "(" + " ".join(f"{operator} {part}" for operator, part in some).removeprefix(some[0][0]) + ")"
    ),
    max_leaves=9,
))  # fmt: skip
def test_any_strategy(indexed, text):
    check(indexed, text)


def test_lines_refer_to_each_other(indexed):
    check(indexed, "1. heart[tiab]\n2. pain[tiab] OR infect*[mh]\n3. #1 AND #2\n4. #1 NOT #2\n5. #3 OR #4")


def test_a_filter_of_pubmed_is_the_search_it_stands_for(indexed):
    reader, _ = indexed
    with reader.view() as view:
        strategy = parse_strategy("heart[tiab] AND english[Filter]")
        evaluation = StrategyEvaluation(strategy, view.tokens, view.store, below)
        found = evaluation.pmids().tolist()
        plain = StrategyEvaluation(parse_strategy("heart[tiab] AND eng[la]"), view.tokens, view.store, below)
        assert found == plain.pmids().tolist() != []
        assert list(evaluation.notes) == ["english[sb] stands for english[la]"]


def test_a_value_that_no_article_has_is_noted_with_the_nearest(indexed):
    reader, articles = indexed
    count = sum("Bacterial Infections" in [h.descriptor for h in record.mesh_headings] for record in articles.values())
    with reader.view() as view:
        text = "bacterial infection[mh] OR lancett oncol[ta] OR heart[tiab] OR pain[mh]"
        result = StrategyEvaluation(parse_strategy(text), view.tokens, view.store, below).result()
    assert len(result.notes) == 2
    assert (
        f"no article has 'bacterial infection' in MeSH Terms; the nearest are bacterial infections ({count})"
        in result.notes[0]
    )
    assert "no article has 'lancett oncol' in Journal; the nearest are lancet oncol (" in result.notes[1]


@pytest.mark.parametrize("text", ['"heart failure"[tiab:~3]', "heart[tiab]"])
def test_a_strategy_ends_with_the_time_of_its_thread(indexed, text):
    reader, _ = indexed
    with reader.view() as view:
        evaluation = StrategyEvaluation(parse_strategy(text), view.tokens, view.store, below)
        with pytest.raises(TimeLimitError), time_limit(0):
            evaluation.result()
        with time_limit(60):
            assert evaluation.result().lines[0].count == len(evaluation.pmids())


def test_of_many_values_that_no_article_has_the_first_get_a_hint_and_a_field_is_listed_once(indexed, monkeypatch):
    reader, _ = indexed
    listed = []
    with reader.view() as view:
        keys = type(view.tokens).keys
        monkeypatch.setattr(type(view.tokens), "keys", lambda self, *given: listed.append(given) or keys(self, *given))
        text = " OR ".join(f"bacterial infection {number}[mh]" for number in range(30))
        result = StrategyEvaluation(parse_strategy(text), view.tokens, view.store, below).result()
    assert len(result.notes) == 30 and listed == [("mh:",)]
    assert ["; the nearest are bacterial infections (" in note for note in result.notes] == [True] * 20 + [False] * 10


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("heart[ti] AND klingon[la]", "character 15: no language 'klingon'"),
        ("heart[ti] AND hasabstrakt[sb]", "the nearest are hasabstract"),
        ("pain/terapy[mh]", "no MeSH subheading 'terapy': the nearest are therapy"),
        ("1. heart[ti]\n2. moonlight[sh]", "line 2, character 1"),
    ],
)
def test_a_value_that_no_record_can_have_is_an_error(indexed, text, message):
    reader, _ = indexed
    with reader.view() as view, pytest.raises(QueryError, match=message.replace("(", r"\(")):
        StrategyEvaluation(parse_strategy(text), view.tokens, view.store, below).counts()


def test_a_very_long_article_is_found_by_words_at_its_end(address, encoder):
    filler = " ".join(f"word{n} the" for n in range(9_000))
    long, common = f"{filler} hip of the pain", " ".join(["the"] * 300 + ["hip"])
    put(
        address, encoder, article(1, "a", long), article(2, "b", common), article(3, "c", "hip of the pain"), merge=True
    )
    finds = {
        '"hip of the pain"[tiab]': [1, 3],
        '"the hip"[tiab]': [1, 2],
        '"hip pa*"[tiab]': [],
        '"the pai*"[tiab]': [1, 3],
        '"pain hip"[tiab:~2]': [1, 3],
        '"pain hip"[tiab:~1]': [],
        'word8999[tiab] NOT "word3 word4"[tiab]': [1],
        '"hip of the pain"[tiab] NOT "the hip"[tiab]': [3],
    }
    with closing(backend.open_reader(address)) as reader, reader.view() as view:
        for text, expected in finds.items():
            found = StrategyEvaluation(parse_strategy(text), view.tokens, view.store, below).pmids()
            assert found.tolist() == expected, text


def test_a_truncated_phrase_with_too_many_endings_says_so(folder, encoder, monkeypatch):
    put(folder, encoder, article(1, "heart infection"), merge=True)
    monkeypatch.setattr("search.storage.folder.tantivy_tokens.MOST_EXPANSIONS", 0)
    with closing(backend.open_reader(folder)) as reader, reader.view() as view:
        evaluation = StrategyEvaluation(parse_strategy('"heart infe*"[tiab]'), view.tokens, view.store, below)
        with pytest.raises(QueryError, match=r"infe\* at the end of a phrase stands for more than"):
            evaluation.pmids()


def test_nearness_counts_the_words_between():
    sentence = "patients with a hip that gave them pain after hip surgery"
    text = sentence.split()
    assert not is_near(["hip", "pain"], text[:8], 2)
    assert is_near(["hip", "pain"], text[:8], 3)
    assert is_near(["pain", "hip"], text, 1)
    assert is_near(["hip", "hip"], text, 5)
    assert not is_near(["hip", "hip"], text, 4)
    assert is_near(["hip", "pain", "hip"], text, 3)
