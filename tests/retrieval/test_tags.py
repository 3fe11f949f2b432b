"""PubMed field tags in a question: what they ask for, what stays the question, and where they do not parse."""

from datetime import date

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from search.errors import QueryError
from search.retrieval import tags
from search.retrieval.filters import (
    And,
    Filters,
    MeshTerm,
    Not,
    Or,
    Term,
    filters_from_dict,
    filters_to_dict,
)
from search.retrieval.tags import TAGS, has_idle_operator, parse_question

DATES = Term(Filters(year_from=2015, year_to=2020))
TRIALS = Term(Filters(publication_types=("randomized controlled trial",)))
NEOPLASMS = Term(Filters(mesh=(MeshTerm("neoplasms"),)))
REVIEWS = Term(Filters(publication_types=("review",)))


@pytest.mark.parametrize(
    "question",
    [
        "does aspirin prevent stroke and not cause bleeding?",
        "aspirin AND stroke OR (heparin NOT warfarin)",
        "uptake of [18F]FDG and [11C]methionine (PET): a comparison",
        'what is "the" role of IL-6 [interleukin 6]: cause or effect?',
        "platinum [Pt] and lanthanum [La] in bone",
        "[mesh] repair of hernia",
        'unbalanced ( parentheses ] and [ brackets " quotes',
        "",
        "   ",
        "NOT",
        "Review [in French]",
        "c[la",
        "2015:2020",
        "\x00\n",
        '"review[pt]"',
    ],
)
def test_a_plain_question_passes_untouched(question):
    assert parse_question(question) == (question, None)


@pytest.mark.parametrize(
    ("text", "question", "expression"),
    [
        ("2015:2020[dp]", "", DATES),
        (
            "2015:2020[dp] AND randomized controlled trial[pt] AND neoplasms[mh]",
            "",
            And((DATES, TRIALS, NEOPLASMS)),
        ),
        ("statins and muscle pain 2015:2020[dp]", "statins and muscle pain", DATES),
        ("statins AND muscle pain AND 2015:2020[dp]", "statins AND muscle pain", DATES),
        ("2015:2020[dp] statins and muscle pain", "statins and muscle pain", DATES),
        ("2015:2020[dp] AND muscle pain AND review[pt]", "muscle pain", And((DATES, REVIEWS))),
        ("muscle pain AND (2015:2020[dp] AND review[pt])", "muscle pain", And((DATES, REVIEWS))),
        ("(muscle OR pain) AND review[pt]", "(muscle OR pain)", REVIEWS),
        ("effects of angiotensin (1-7) AND review[pt]", "effects of angiotensin (1-7)", REVIEWS),
        ("review[pt] OR neoplasms[mh] AND 2015:2020[dp]", "", And((Or((REVIEWS, NEOPLASMS)), DATES))),
        ("2015:2020[dp] AND review[pt] OR neoplasms[mh]", "", Or((And((DATES, REVIEWS)), NEOPLASMS))),
        ("2015:2020[dp] AND (review[pt] OR neoplasms[mh])", "", And((DATES, Or((REVIEWS, NEOPLASMS))))),
        ("pain NOT review[pt]", "pain", Not(REVIEWS)),
        ("NOT review[pt]", "", Not(REVIEWS)),
        ("neoplasms[mh] NOT review[pt]", "", And((NEOPLASMS, Not(REVIEWS)))),
        ("neoplasms[mh] AND NOT review[pt]", "", And((NEOPLASMS, Not(REVIEWS)))),
        ("neoplasms[mh] OR NOT review[pt]", "", Or((NEOPLASMS, Not(REVIEWS)))),
        ("neoplasms[mh] and review[pt] not 2015:2020[dp]", "", And((NEOPLASMS, REVIEWS, Not(DATES)))),
        ("(neoplasms[mh] OR review[pt]) and 2015:2020[dp]", "", And((Or((NEOPLASMS, REVIEWS)), DATES))),
        ("wounds and injuries[mh]", "", Term(Filters(mesh=(MeshTerm("wounds and injuries"),)))),
        ("review [pt]", "", REVIEWS),
        ("REVIEW[PT]", "", Term(Filters(publication_types=("REVIEW",)))),
        ("muscle pain, 2015:2020[dp], review[pt]?", "muscle pain,", And((DATES, REVIEWS))),
        ('pain "randomized controlled trial"[Publication Type]', "pain", TRIALS),
        ("pain “neoplasms”[MeSH Terms]", "pain", NEOPLASMS),
        ('the "exact words" matter AND review[pt]', 'the "exact words" matter', REVIEWS),
        ("(review)[pt]", "", REVIEWS),
        ("asthma[majr]", "", Term(Filters(mesh=(MeshTerm("asthma", major=True),)))),
        ("asthma[mesh:noexp]", "", Term(Filters(mesh=(MeshTerm("asthma", explode=False),)))),
        ("asthma/drug therapy[majr]", "", Term(Filters(mesh=(MeshTerm("asthma", True, "drug therapy"),)))),
        ("Poly(ADP-ribose) Polymerases[mh]", "", Term(Filters(mesh=(MeshTerm("Poly(ADP-ribose) Polymerases"),)))),
        ("Lancet (London, England)[ta]", "", Term(Filters(journals=("Lancet (London, England)",)))),
        ("N Engl J Med[journal]", "", Term(Filters(journals=("N Engl J Med",)))),
        ("0028-4793[jour]", "", Term(Filters(journals=("0028-4793",)))),
        ("English[la]", "", Term(Filters(languages=("eng",)))),
        ("12345, 67890[pmid]", "", Term(Filters(pmids=frozenset({12345, 67890})))),
        ("muscle pain 12345[uid]", "muscle pain", Term(Filters(pmids=frozenset({12345})))),
        ("hasabstract", "", Term(Filters(has_abstract=True))),
        ("muscle pain hasabstract", "muscle pain", Term(Filters(has_abstract=True))),
        ("muscle pain AND free full text[sb]", "muscle pain", Term(Filters(free_full_text=True))),
        ('muscle pain AND "pubmed pmc"[sb]', "muscle pain", Term(Filters(free_full_text=True))),
        ("pmc[filter]", "", Term(Filters(free_full_text=True))),
        ("2015[dp]", "", Term(Filters(year_from=2015, year_to=2015))),
        ("2015:3000[dp]", "", Term(Filters(year_from=2015))),
        ("2015/02[dp]", "", Term(Filters(date_from=date(2015, 2, 1), date_to=date(2015, 2, 28)))),
        ("2015/02/03:2016[pdat]", "", Term(Filters(date_from=date(2015, 2, 3), date_to=date(2016, 12, 31)))),
        ("2015 : 2016/03[dp]", "", Term(Filters(date_from=date(2015, 1, 1), date_to=date(2016, 3, 31)))),
        (
            'pain AND ("2015/01/01"[Date - Publication] : "3000"[Date - Publication])',
            "pain",
            Term(Filters(date_from=date(2015, 1, 1))),
        ),
        ("2015[dp]:2020[dp]", "", DATES),
        ("Cl[Pt] AND 2015:2020[dp]", "", And((Term(Filters(publication_types=("Cl",))), DATES))),
        ("uptake of [Pt] AND 2015:2020[dp]", "uptake of [Pt]", DATES),
        ("[18F]FDG PET AND 2015:2020[dp]", "[18F]FDG PET", DATES),
    ],
)
def test_tags_are_filters_and_the_rest_is_the_question(text, question, expression):
    assert parse_question(text) == (question, expression)


@pytest.mark.parametrize(
    ("text", "at", "message"),
    [
        ("pain AND 2015/13[dp]", "2015/13", "2015/13 is not a valid date: "),
        ("pain AND 2020:2015[dp]", "2020", "the range of dates runs backwards, from 2020-01-01 to 2015-12-31"),
        ("pain enlgish[la]", "pain", "no language 'pain enlgish'"),
        ("pain AND enlgish[la]", "enlgish", "no language 'enlgish': did you mean 'english'?"),
        ("pain AND soon[dp]", "soon", "[dp] needs a form such as 2015"),
        ("pain AND abc[pmid]", "abc", "[pmid] needs a form such as 12345678"),
        ("pain AND 0[pmid]", "0", "0 is not a valid PMID"),
        ("pain OR review[pt]", "OR", "OR cannot join the question to a filter"),
        ("review[pt] NOT pain", "NOT", "NOT can only be used with a term that has a tag"),
        ("review[pt] AND", "AND", "nothing follows AND"),
        ("AND review[pt]", "AND", "nothing stands before AND"),
        ("review[pt] AND OR 2015[dp]", "OR", "OR follows AND"),
        ("review[pt] AND [dp]", "[dp]", "nothing stands before [dp]"),
        ("pain AND (review[pt]", "(", "this parenthesis is never closed"),
        ("review[pt] AND ()", ")", "nothing stands between the parentheses"),
        ("(asthma OR copd)[mh]", "[mh]", "[mh] belongs to one term"),
        ("aspirin[tiab] AND 2015[dp]", "[tiab]", "give what words must be where as a strategy"),
        ("aspirin[tiab]", "[tiab]", "give what words must be where as a strategy"),
        ("Smith J[au] AND 2015[dp]", "[au]", "name authors by --author"),
        ("2024[edat] AND review[pt]", "[edat]", "added_since"),
        ('"a b"[pmid]', '"a b"', "'a b' is not a valid PMID"),
        ('"a b"[dp]', '"a b"', "'a b' is not a valid date"),
        ("medline[sb]", "medline", "no subset 'medline'"),
    ],
)
def test_errors_point_at_the_character(text, at, message):
    with pytest.raises(QueryError) as caught:
        parse_question(text)
    said, shown, caret = str(caught.value).split("\n")
    position = text.index(at)
    assert said.startswith(f"cannot read the question at character {position + 1}: ") and message in said
    assert shown == f"  {text}" and caret == " " * (2 + position) + "^"


def test_a_long_question_shows_only_the_place():
    with pytest.raises(QueryError) as caught:
        parse_question("word " * 40 + "\x00\nAND klingonian[la] AND " + "tail " * 40 + "2015[dp]")
    _, shown, caret = str(caught.value).split("\n")
    assert shown.startswith("  …") and shown.endswith("…") and len(shown) < 90
    assert shown[caret.index("^") :].startswith("klingonian")


def test_what_is_left_cannot_become_a_tag():
    assert parse_question("foo[ AND review[pt] AND pt]") == ("foo[ pt]", REVIEWS)
    with pytest.raises(QueryError, match="reads like a tag"):
        parse_question("foo[publication AND review[pt] AND type]")


def test_nesting_has_a_limit():
    with pytest.raises(QueryError, match="nested too deep"):
        parse_question("(" * 1000 + "review[pt]" + ")" * 1000)
    with pytest.raises(QueryError, match="nested too deep"):
        parse_question("review[pt]" + " AND 2015[dp] OR review[pt]" * 100)
    many = parse_question(" OR ".join(["review[pt]"] * 1000))[1]
    assert many == Or((REVIEWS,) * 1000)


def test_reading_ends_at_the_parenthesis_that_is_too_deep(monkeypatch):
    read = []
    special = tags._special
    monkeypatch.setattr(tags, "_special", lambda text, at, *a, **k: read.append(at) or special(text, at, *a, **k))
    with pytest.raises(QueryError, match="at character 51: parentheses are nested too deep: at most 50"):
        parse_question("(" * 5_000 + "review[pt]" + ")" * 4_000)
    assert len(read) == 51
    assert parse_question("(" * 50 + "review[pt]" + ")" * 50) == ("", REVIEWS)


def test_parentheses_without_a_tag_are_a_plain_question(monkeypatch):
    monkeypatch.setattr(tags, "_tokens", None)
    text = "(" * 5_000 + "uptake of [x] and [18F]" + ")" * 3
    assert parse_question(text) == (text, None)


_pieces = st.sampled_from(
    [
        "AND",
        "OR",
        "NOT",
        "and",
        "(",
        ")",
        '"',
        "[",
        "]",
        ":",
        "/",
        ",",
        " ",
        "\n",
        "2015",
        "2015/02",
        "pain",
        "hasabstract",
    ]
    + [f"[{tag}]" for tag in TAGS]
    + ["[tiab]", "[Pt]", "[18F]", "asthma[mh]", "review[pt]", "2015:2020[dp]", '"a b"', "é", "\x00", "12", "eng[la]"]
)
questions = st.lists(_pieces | st.text(max_size=3), max_size=12).flatmap(
    lambda pieces: st.sampled_from(["", " "]).map(lambda separator: separator.join(pieces))
)


@settings(max_examples=600, deadline=None)
@example("9" * 5000 + "[pmid]")
@example("٢٠١٥[dp]")
@given(questions)
def test_any_text_is_a_question_or_a_query_error(text):
    try:
        question, expression = parse_question(text)
    except QueryError as error:
        assert str(error).split("\n")[-1].endswith("^")
        return
    assert parse_question(question) == (question, None)
    if expression is None:
        assert question == text
    else:
        filters = Filters(expression=expression)
        assert filters_from_dict(filters_to_dict(filters)) == filters


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=st.characters(exclude_characters="[]")))
def test_text_without_brackets_is_never_touched(text):
    if "hasabstract" not in text.lower():
        assert parse_question(text) == (text, None)


@pytest.mark.parametrize(
    ("text", "at", "advice"),
    [
        ("smith j[au]", 8, "--author 'Smith J'"),
        ("smith john[fau] aspirin", 11, "--author 'Smith J'"),
        ("cancer[ti]", 7, "as a strategy"),
    ],
)
def test_a_tag_of_people_or_words_is_never_taken_for_words(text, at, advice):
    with pytest.raises(QueryError, match=f"character {at}: .* cannot be used: .*{advice}"):
        parse_question(text)


@pytest.mark.parametrize("text", ["nanoparticles of gold[Au]", "uptake of [au] and [ti]", "chromium[VI] in air"])
def test_chemistry_is_no_tag(text):
    assert parse_question(text) == (text, None)


def test_operators_without_a_tag_are_words():
    assert has_idle_operator("NOT aspirin") and has_idle_operator("aspirin OR statins")
    assert not has_idle_operator("aspirin and not review")
    assert not has_idle_operator("ASPIRIN AND STROKE") and not has_idle_operator("aspirin NOT review[pt]")
