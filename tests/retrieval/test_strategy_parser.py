"""PubMed's query language: what is read, how it is understood, and what is refused with a caret."""

import json
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.errors import QueryError
from search.retrieval.strategy import parse_strategy, translation
from search.retrieval.strategy.field_tags import FIELDS, field_of
from search.retrieval.strategy.strategy_parser import MAX_DEPTH, MAX_TERMS

TODAY = date(2024, 3, 31)


def details(text: str) -> str:
    """Return the search details of a strategy's result."""
    return translation(parse_strategy(text, today=TODAY).result.tree)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("aspirin[tiab]", '"aspirin"[Title/Abstract]'),
        ("aspirin [ Title/Abstract ]", '"aspirin"[Title/Abstract]'),
        ("ASPIRIN[TIAB]", '"ASPIRIN"[Title/Abstract]'),
        ("kidney allograft[tiab]", '"kidney allograft"[Title/Abstract]'),
        ("covid-19[ti] vaccine[ti]", '"covid-19"[Title] AND "vaccine"[Title]'),
        ('"heart attack" stroke[ti]', '"heart attack"[All Fields] AND "stroke"[Title]'),
        ("a[ti] OR b[ti] AND c[ti]", '("a"[Title] OR "b"[Title]) AND "c"[Title]'),
        ("a[ti] OR (b[ti] AND c[ti])", '"a"[Title] OR ("b"[Title] AND "c"[Title])'),
        ("a[ti] NOT b[ti] NOT c[ti]", '"a"[Title] NOT "b"[Title] NOT "c"[Title]'),
        ("a[ti] AND NOT b[ti]", '"a"[Title] NOT "b"[Title]'),
        ("NOT editorial[pt]", '"all"[Filter] NOT "editorial"[Publication Type]'),
        ("a[ti] & b[ti] | c[ti]", '("a"[Title] AND "b"[Title]) OR "c"[Title]'),
        ("breast feed*[tiab]", '"breast feed*"[Title/Abstract]'),
        ('"breast feed*"', '"breast feed*"[All Fields]'),
        ('"hip pain"[Title:~4]', '"hip pain"[Title:~4]'),
        ("asthma[mh:noexp]", '"asthma"[MeSH Terms:noexp]'),
        ("hypertension/therapy[majr]", '"hypertension/therapy"[MeSH Major Topic]'),
        ("wounds and injuries[mh]", '"wounds and injuries"[MeSH Terms]'),
        ("x[ti] and wounds and injuries[mh]", '"x"[Title] AND "wounds and injuries"[MeSH Terms]'),
        ("cancer or tumor[tiab]", '"cancer"[All Fields] OR "tumor"[Title/Abstract]'),
        ("a[ti] not (b[ti] and c[ti])", '"a"[Title] NOT ("b"[Title] AND "c"[Title])'),
        ("smith j[au]", '"smith j"[Author]'),
        ("2015[dp]", "2015/01/01:2015/12/31[Date - Publication]"),
        ("aspirin 2015/02[dp]", '"aspirin"[All Fields] AND 2015/02/01:2015/02/31[Date - Publication]'),
        ("2015:2020[pdat]", "2015/01/01:2020/12/31[Date - Publication]"),
        (
            '("2015/01/01"[Date - Publication] : "3000"[Date - Publication])',
            "2015/01/01:3000/12/31[Date - Publication]",
        ),
        ('"last 5 years"[dp]', "2019/03/31:3000/12/31[Date - Publication]"),
        ("last 90 days[crdt]", "2024/01/01:3000/12/31[Date - Create]"),
        ("17170002 16381840", '"17170002"[UID] OR "16381840"[UID]'),
        ("17170002, 16381840 [pmid]", '"17170002"[UID] OR "16381840"[UID]'),
        ("aspirin hasabstract", '"aspirin"[All Fields] AND "hasabstract"[Filter]'),
        ("Humans[Mesh]/", '"Humans"[MeSH Terms]'),
        ("a[ti] || b[ti] && c[ti]", '("a"[Title] OR "b"[Title]) AND "c"[Title]'),
        ("1[vi] AND 2[ip]", '"1"[Volume] AND "2"[Issue]'),
        ("“heart attack”[tiab]", '"heart attack"[Title/Abstract]'),
        ("“Education“[tiab]", '"Education"[Title/Abstract]'),
        ('""heart attack""[tiab]', '"heart attack"[Title/Abstract]'),
        ("\ufeffaspirin\u00a0[tiab]\u200b AND\r\ncancer［ti］", '"aspirin"[Title/Abstract] AND "cancer"[Title]'),
        ("pre–eclampsia[tiab]", '"pre-eclampsia"[Title/Abstract]'),
    ],
)
def test_what_is_read(text, expected):
    assert details(text) == expected


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        ("", 1, "empty"),
        ("aspirin[xyz]", 8, "no field [xyz]"),
        ("aspirin[titleabstract]", 8, "[tiab] (Title/Abstract)"),
        ("(a OR b)[tiab]", 9, "tag each"),
        ("[tiab]", 1, "nothing stands before"),
        ("(aspirin", 1, "never closed"),
        ("aspirin)", 8, "nothing opens"),
        ("()", 2, "nothing stands between"),
        ('aspirin AND "heart', 13, "never closed"),
        ('aspirin AND ""[ti]', 13, "nothing stands between the quotation marks"),
        ("aspirin[ti", 8, "never closed"),
        ("aspirin]", 8, "nothing opens"),
        ("aspirin AND", 9, "nothing follows AND"),
        ("AND aspirin", 1, "nothing stands before AND"),
        ("aspirin AND OR b", 13, "put a term between"),
        ("aspirin OR NOT b", 12, "put a term between"),
        ("a*", 1, "four letters"),
        ("infect* control[tiab]", 1, "end of the last word"),
        ("infect*ious[tiab]", 1, "end of the last word"),
        ('"infect* control"[tiab]', 1, "end of the last word"),
        ('"hip pain*"[tiab:~3]', 1, "proximity and truncation"),
        ('"hip"[tiab:~3]', 1, "two words"),
        ("hip pain[tiab:~3]", 1, "in quotes"),
        ('"hip pain"[mh:~3]', 11, "proximity is for"),
        ("hip[ti:noexp]", 4, "noexp is for"),
        ("spring[dp]", 1, "needs a form"),
        ("2015/13[dp]", 1, "not a date"),
        ("2020:2015[dp]", 1, "backwards"),
        ("x1[pmid]", 1, "not a valid PMID"),
        ("#1 AND #2", 1, "no line #1"),
        ("aspirin.ti,ab.", 1, "not PubMed's language"),
        ("hip adj3 pain", 5, "near each other"),
        ('"hip pain"~3', 11, "near each other"),
        ("exp Asthma/", 5, "heading asthma/"),
        ("TITLE-ABS-KEY(aspirin)", 1, "write a[tiab]"),
        ("TS=aspirin", 1, "write a[tiab]"),
        ("aspirin Filters: Humans", 9, "humans[Filter]"),
        ("1 and 2", 1, "write #1 AND #2"),
        ("(S1 OR s12) AND S3", 2, "write #1 AND #2"),
        ("randomi?ed[tiab]", 1, "wildcard"),
        ("???[ti]", 4, "nothing stands before"),
    ],
)
def test_what_is_refused(text, position, message):
    with pytest.raises(QueryError) as caught:
        parse_strategy(text)
    first, _, caret = str(caught.value).split("\n")
    assert f"at character {position}:" in first
    assert message in first
    assert len(caret) == 2 + position


def test_an_error_far_inside_shows_what_is_around_it():
    text = "aspirin[tiab] OR " * 40 + "b[zz] OR " + "c[ti] OR " * 40 + "d[ti]"
    with pytest.raises(QueryError) as caught:
        parse_strategy(text)
    _, shown, caret = str(caught.value).split("\n")
    assert shown[caret.index("^") :].startswith("[zz]")
    assert len(shown) < 100


def test_lines_of_a_search_history():
    text = "1. copper[tiab]\n2. infection*[tiab]\n   OR sepsis[tiab]\n\n3. #1 AND #2\n"
    strategy = parse_strategy(text)
    assert [line.number for line in strategy.lines] == [1, 2, 3]
    assert translation(strategy.lines[1].tree) == '"infection*"[Title/Abstract] OR "sepsis"[Title/Abstract]'
    assert translation(strategy.result.tree) == "#1 AND #2"
    unnumbered = parse_strategy("copper[tiab]\nsepsis[tiab]\n#1 AND #2")
    assert translation(unnumbered.result.tree) == "#1 AND #2"
    with pytest.raises(QueryError, match="at line 2, character 6: there is no line #3"):
        parse_strategy("#1 a[ti]\n#2 b OR #3\n#3 b[ti]")


def test_several_lines_without_numbers_are_one_search():
    assert details("aspirin[tiab]\nAND\ncancer[ti]") == '"aspirin"[Title/Abstract] AND "cancer"[Title]'


def test_notes_say_what_was_understood_in_another_way():
    strategy = parse_strategy("(*Staphylococcus[mh] or x[ti]) /")
    assert len(strategy.notes) == 3
    assert "asterisk before 'Staphylococcus'" in strategy.notes[0]
    assert "`or` was read as OR" in strategy.notes[1]


def test_hostile_strategies_end_with_a_message():
    hostile = {
        "(" * 10_000: "too deep",
        "(" * 5_000 + "a[ti]" + ")" * 5_000: "too deep",
        " ".join(["a[ti]", *["AND b[ti] OR c[ti]"] * 400]): f"more than {MAX_DEPTH} times",
        " OR ".join(["a[ti]"] * (MAX_TERMS + 1)): "more than 10,000 terms",
        "a" * 600_000: "at most 500,000",
        "a[" + "x" * 100_000 + "]": "brackets hold",
        '"' * 10_001: "nothing stands between",
        "#1 x\n" + "\n".join(f"#{n} #{n - 1} OR #{n - 1}" for n in range(2, 40)): "more than 10,000 terms",
    }
    for text, message in hostile.items():
        with pytest.raises(QueryError, match=message):
            parse_strategy(text)
    assert len(parse_strategy(" OR ".join(f"word{n}[tiab]" for n in range(5_000))).result.tree.operands) == 5_000


def test_every_name_of_a_field_is_of_one_field():
    for field in FIELDS.values():
        for name in (field.tag, field.name, *field.names):
            assert field_of(name) is field
            assert field_of(name.upper()) is field


def test_published_strategies_are_read(shared_data):
    lines = (shared_data / "strategies" / "strategies.jsonl").read_text().splitlines()
    assert len(lines) == 20
    for line in lines:
        text = json.loads(line)["strategy"]
        shown = details(text)
        assert details(shown) == shown
        # Each tag that was written is a term of the translation.
        assert shown.count("[") >= text.count("[")


_words = st.sampled_from(["aspirin", "heart attack", "infect*", '"low dose"', "#1", "2015:2020", "2015", "and", "x/y"])
_tags = st.sampled_from(["[tiab]", "[mh]", "[dp]", "[au]", "[tiab:~2]", "[mh:noexp]", "[zz]", ""])
_joints = st.sampled_from([" AND ", " OR ", " NOT ", " ", "(", ")", "“", ",", "\n"])


@settings(deadline=None)
@given(st.lists(st.one_of(st.tuples(_words, _tags).map("".join), _joints, st.text(max_size=4)), max_size=12))
def test_reading_fails_only_with_a_message_and_details_read_the_same(parts):
    try:
        strategy = parse_strategy("".join(parts), today=TODAY)
    except QueryError:
        return
    if len(strategy.lines) == 1:
        shown = details("".join(parts))
        assert details(shown) == shown
