"""NLM XML that is broken, cut off, no record or an attack: each is told, and what came before is read."""

import pytest
from source_files import a_set, read, read_until_problem, record

from search.article import Article, Deletion
from search.formats.base import Rejection


@pytest.mark.parametrize(
    ("pmid", "reason"),
    [
        ("", "no PMID"),
        ("abc", "the PMID 'abc' is not a positive whole number"),
        ("-5", "the PMID '-5' is not"),
        ("0", "the PMID 0 is not between"),
        ("99999999999999999", "the PMID 99999999999999999 is not between"),
    ],
)
def test_a_record_without_a_pmid_that_can_be_used(tmp_path, pmid, reason):
    first, bad, last = read(tmp_path, a_set(record(), "\n" + record(pmid=pmid), record()))
    assert first == last == Article(pmid=1, title="T", status="MEDLINE")
    assert isinstance(bad, Rejection) and reason in bad.reason
    assert bad.where == f"{tmp_path / 'records.xml'} line 4"


def test_a_record_without_title_and_abstract(tmp_path):
    (bad,) = read(
        tmp_path, a_set(record("<ArticleTitle> </ArticleTitle><Abstract><AbstractText/></Abstract>", pmid="6"))
    )
    assert bad == Rejection(f"{tmp_path / 'records.xml'} line 3", "no title and no abstract", 6)
    empty, no_citation = read(tmp_path, a_set("<PubmedArticle/>", "<PubmedArticle><x/></PubmedArticle>"))
    assert empty.reason == no_citation.reason == "no PMID"


def test_a_deletion_of_nothing(tmp_path):
    first, bad = read(tmp_path, "<DeleteCitation><PMID>5</PMID><PMID>x</PMID></DeleteCitation>")
    assert first == Deletion(5)
    assert "in a list of deleted records: the PMID 'x'" in bad.reason


def test_invalid_utf8_costs_its_record_only(tmp_path):
    xml = a_set(record(), record("<ArticleTitle>caf@</ArticleTitle>", pmid="2"), record(pmid="3")).encode()
    first, bad, last = read(tmp_path, xml.replace(b"@", b"\xe9"))
    assert (first.pmid, last.pmid) == (1, 3)
    assert (bad.pmid, "not valid UTF-8" in bad.reason) == (2, True)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ("<ArticleTitle>a</b></ArticleTitle>", "broken XML in the record of line 4 (PMID 2): Opening and ending tag"),
        ("<ArticleTitle>a & b</ArticleTitle>", "broken XML"),
        ("<ArticleTitle>a &undefined; b</ArticleTitle>", "Entity 'undefined' not defined"),
        ("<ArticleTitle>a < b</ArticleTitle>", "broken XML"),
        ("<ArticleTitle", "broken XML"),
        ("<ArticleTitle>&#0;</ArticleTitle>", "broken XML"),
        ("<ArticleTitle><i>", "broken XML"),
        ("</Article></MedlineCitation></PubmedArticle>", "expected a record, found '</Article>"),
    ],
)
def test_broken_xml_in_the_middle(tmp_path, broken, message):
    found, problem = read_until_problem(tmp_path, a_set(record(), "\n" + record(broken, pmid="2"), record(pmid="3")))
    assert found[0] == Article(pmid=1, title="T", status="MEDLINE")
    assert all(isinstance(entry, Rejection) for entry in found[1:])
    assert "line 4" in problem and message in problem


@pytest.mark.parametrize(
    ("xml", "message"),
    [
        (a_set(record())[:-8], "cut off before the end of the PubmedArticleSet"),
        (a_set(record(), record(pmid="2"))[:-80], "cut off in the record that begins on line 3 (PMID 2)"),
        (a_set(record(), "stray"), "expected a record, found 'stray"),
        (a_set(record(), "<Other/>"), "expected a record, found '<Other/>"),
        (record() + "trailing", "found 'trailing"),
        ("<html><body>Not found</body></html>", "expected NLM XML"),
        ("<eFetchResult><ERROR>Empty id list</ERROR></eFetchResult>", "Empty id list"),
        ("<!-- nothing -->", "is empty"),
        ('<?xml version="1.0"?>', "is empty"),
    ],
)
def test_what_ends_too_soon_or_is_something_else(tmp_path, xml, message):
    assert message in read_until_problem(tmp_path, xml)[1]


def test_entities_are_not_expanded(tmp_path):
    bomb = "".join(f'<!ENTITY e{n + 1} "{f"&e{n};" * 10}">' for n in range(9))
    for subset in (f'<!ENTITY e0 "x">{bomb}', f'<!ENTITY e9 SYSTEM "file://{__file__}">'):
        xml = f"<!DOCTYPE PubmedArticleSet [{subset}]>" + a_set(record("<ArticleTitle>&e9;</ArticleTitle>"))[22:]
        found, problem = read_until_problem(tmp_path, xml)
        assert found == [] and "defines entities of its own" in problem


def test_a_hidden_entity_declaration_is_not_read(tmp_path):
    xml = f'<!DOCTYPE a SYSTEM "file://{__file__}">' + a_set(record("<ArticleTitle>&e9;</ArticleTitle>"))[22:]
    found, problem = read_until_problem(tmp_path, xml)
    assert found == [] and "Entity 'e9' not defined" in problem


def test_nesting_without_end(tmp_path):
    deep = "<i>" * 100_000 + "x" + "</i>" * 100_000
    found, problem = read_until_problem(tmp_path, a_set(record(), record(f"<ArticleTitle>{deep}</ArticleTitle>")))
    assert len(found) == 1 and "depth" in problem


def test_a_text_of_a_hundred_megabytes(tmp_path):
    xml = a_set(record(), record("<ArticleTitle>@</ArticleTitle>"))
    found, problem = read_until_problem(tmp_path, xml.replace("@", "x" * 100_000_000))
    assert len(found) == 1 and "more than 32 MB without an end" in problem
