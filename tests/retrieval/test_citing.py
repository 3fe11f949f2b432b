"""Following citations, and what is known against articles, on a folder and in PostgreSQL."""

import json

import pytest
from helpers import article, put

from search.api import Index
from search.article import Correction, PublicationType
from search.errors import NotFoundError, QueryError
from search.presentation.hit_record import article_record, hit_record
from search.presentation.notices import notice_labels

RETRACTED = (PublicationType("Retracted Publication"),)
HEADER = (
    "RetractionDate,RetractionDOI,RetractionPubMedID,OriginalPaperDOI,OriginalPaperPubMedID,RetractionNature,Reason\n"
)

ARTICLES = [
    article(1, "aspirin and stroke", doi="10.1000/one"),
    article(2, "aspirin again", references=(1, 50)),
    article(3, "aspirin for stroke", references=("10.1000/ONE", 2, 50, "10.9/away")),
    article(4, "zebras", references=(1, 2, 3)),
    article(5, "retracted aspirin", publication_types=RETRACTED, references=(1,)),
    article(6, "cites bad work", references=(5, 4, 777)),
]


@pytest.fixture
def index(address, encoder):
    put(address, encoder, *ARTICLES, merge=True)
    opened = Index.open(address)
    opened._encoder = encoder
    yield opened
    opened.close()


def test_both_lists_of_an_article(index):
    found = index.cited_by(1)
    assert (found.count, found.in_index, found.others) == (4, 4, [])
    assert [item.pmid for item in found.articles] == [5, 4, 3, 2]
    assert [item.pmid for item in index.cited_by(1, 2, offset=1).articles] == [4, 3]
    found = index.references(3)
    assert (found.count, found.in_index, found.others) == (4, 2, [50, "10.9/away"])
    assert [item.pmid for item in found.articles] == [1, 2]
    with pytest.raises(NotFoundError, match="PMID 50 is not in the index"):
        index.cited_by(50)


def test_hits_and_facets_say_how_often_articles_are_cited(index):
    hits = {hit.pmid: hit.cited_by for hit in index.search("aspirin", 10, mode="lexical")}
    assert hits == {1: 4, 2: 2, 3: 1, 5: 1}
    assert hit_record(index.search("zebras", 1, mode="lexical")[0]).cited_by == 1
    assert index.facets("aspirin", mode="lexical").cited_by == {"1-9": 4}


def test_the_most_cited_come_first_where_that_is_the_order(index):
    counts = [hit.cited_by for hit in index.search("aspirin", 10, mode="lexical", sort="cited")]
    assert counts == sorted(counts, reverse=True) and counts[0] > counts[-1]


def test_where_nothing_is_known_nothing_is_said(address, encoder):
    put(address, encoder, article(1, "aspirin"))
    with Index.open(address) as index:
        index._encoder = encoder
        (hit,) = index.search("aspirin", 1)
        assert hit.cited_by is None and "cited_by" not in json.loads(__import__("msgspec").json.encode(hit_record(hit)))
        assert index.facets("aspirin").cited_by == {}


def test_snowballing_goes_both_ways_and_ranks_by_links(index):
    found = index.snowball([2, 3], 10)
    assert [(hit.pmid, hit.links) for hit in found.hits][:2] == [(1, 2), (4, 2)]
    assert found.others == {50: 2, "10.9/away": 1} and found.found == 4
    assert {hit.pmid for hit in index.snowball([2, 3], 10, rounds=2).hits} == {1, 4, 5, 6}
    assert [hit.pmid for hit in index.snowball([2, 3], 10, seen=[1]).hits] == [4]
    # Nearness of meaning decides between those of as many links: both cite 1 once.
    near = [hit.pmid for hit in index.snowball([1], 10).hits]
    assert near[-1] == 4 and set(near) == {2, 3, 4, 5}
    # What is not in the index may be begun with.
    assert {hit.pmid for hit in index.snowball([50], 10).hits} == {2, 3}
    with pytest.raises(QueryError, match="at least one PMID"):
        index.snowball([], 10)


def test_snowballing_from_a_saved_search_leaves_out_what_it_found(index):
    index.save_search("mine", "stroke", 2, mode="lexical")
    assert index.saved_search("mine").found == {1, 3}
    assert {hit.pmid for hit in index.snowball("mine", 10).hits} == {2, 4, 5}


def test_an_article_that_cites_retracted_work_says_so_everywhere(index):
    (hit,) = index.search("cites bad work", 1, mode="lexical")
    assert notice_labels(hit.article) == ["cites retracted work"] and not hit.article.is_retracted
    for found in (hit.article, index.get(6), *index.get_many([6]), list(index.articles())[-1]):
        assert [(notice.kind, notice.pmid, notice.citation) for notice in found.notices] == [
            ("CitesRetracted", 5, "PMID 5")
        ]
    assert notice_labels(index.get(5)) == ["retracted"] and notice_labels(index.get(4)) == []


def add_list(index, tmp_path, *rows):
    path = tmp_path / "list.csv"
    path.write_text(HEADER + "".join(f"{row}\n" for row in rows))
    index.add_retractions(path)


def test_a_retraction_that_is_known_by_doi_only_counts_as_nlms_own(index, tmp_path, encoder, address):
    def kept():
        return {hit.pmid for hit in index.search("aspirin", 10, mode="lexical", filters={"not_retracted": True})}

    whole = kept()
    assert 1 in whole
    add_list(
        index, tmp_path, "3/1/2024 0:00,,0,10.1000/ONE,0,Retraction,+Why;", "3/1/2024 0:00,,0,10.1000/x,99,Retraction,;"
    )
    assert kept() == whole - {1} and index.get(1).is_retracted
    assert notice_labels(index.get(4)) == ["cites retracted work"]
    # An article that comes later, and one that gets another DOI.
    index.add([article(70, "aspirin again", doi="10.1000/X"), article(71, "aspirin", references=(70, 1))])
    assert kept() == (whole - {1}) | {71} and index.get(70).is_retracted
    assert [notice.citation for notice in index.get(71).notices] == ["PMID 70, PMID 1"]
    index.add([article(70, "aspirin again", doi="10.1000/y", version=2)])
    assert kept() == (whole - {1}) | {70, 71}


def test_retraction_watch_is_told_beside_nlms_notices(index, tmp_path):
    add_list(
        index, tmp_path, "3/1/2024 0:00,10.9/n,99,,2,Retraction,+Plagiarism;+Fake Data;",
        "2/1/2023 0:00,,0,10.1000/ONE,0,Expression of concern,+Concerns;", "2/1/2023 0:00,,0,,5,Retraction,+Why;",
        "2/1/2023 0:00,,0,,777,Retraction,+Out;",
    )  # fmt: skip
    found = index.get(2)
    assert found.is_retracted
    assert found.notices == (
        Correction("RetractionIn", "Retraction Watch, 2024-03-01: Plagiarism; Fake Data. doi: 10.9/n", 99),
    )
    assert notice_labels(index.get(1)) == ["expression of concern"]
    (notice,) = article_record(found).notices
    assert (notice.about, notice.date) == ("this", "2024-03-01")
    assert index.get(6).notices[0].citation == "PMID 5, PMID 777"
    assert notice_labels(index.get(3)) == ["cites retracted work"]
    hits = index.search("aspirin", 10, mode="lexical", filters={"not_retracted": True})
    assert {hit.pmid for hit in hits} == {1, 3}
    # What an index says beside a record does not become part of it.
    index.add([index.get(pmid) for pmid in (1, 2, 6)], encode=False)
    add_list(index, tmp_path, "2/1/2023 0:00,,0,,5,Retraction,+Why;")
    assert [notice_labels(index.get(pmid)) for pmid in (1, 2, 6)] == [[], [], ["cites retracted work"]]


def test_the_reasons_stand_at_nlms_own_notice(address, encoder, tmp_path):
    nlms = Correction("RetractionIn", "Lancet. 2010 Feb 6;375:445", 99)
    put(address, encoder, article(1, "aspirin", corrections=(nlms,)))
    with Index.open(address) as index:
        add_list(index, tmp_path, "2/2/2010 0:00,,99,,1,Retraction,+Fraud;")
        (notice,) = index.get(1).notices
        assert notice == Correction("RetractionIn", nlms.citation, 99, "Retraction Watch, 2010-02-02: Fraud")
        (shown,) = article_record(index.get(1)).notices
        assert (shown.date, shown.note) == ("2010-02-06", notice.note)


def test_a_notice_says_that_it_is_one(address, encoder):
    put(address, encoder, article(1, "Retraction: aspirin", corrections=(Correction("RetractionOf", "X. 2001", 9),)))
    with Index.open(address) as index:
        (notice,) = article_record(index.get(1)).notices
        assert (notice.kind, notice.pmid, notice.about, notice.date) == ("RetractionOf", 9, "another", "2001")
        assert not index.get(1).is_retracted


def test_what_a_saved_search_found_and_is_retracted_now_is_told_once(index, encoder, address):
    index.save_search("mine", "aspirin", 10, mode="lexical")
    assert index.new_results("mine") == []
    again = article(2, "aspirin again", references=(1, 50), revised="2025-01-01", publication_types=RETRACTED)
    put(address, encoder, again, article(8, "new aspirin"))
    new, retracted = index.new_results("mine")
    assert new.pmid == 8 and retracted.pmid == 2
    assert notice_labels(retracted.article) == ["retracted", "retracted since it was found"]
    run = index.saved_search("mine").runs[-1]
    assert (run.pmids, run.retracted, run.newly_retracted) == ((8,), (2, 5), (2,))
    assert index.new_results("mine") == []


def test_runs_are_kept_with_all_that_tells_them_apart(index, encoder, address):
    filters = {"strategy": "#1 aspirin[ti]\n#2 stroke[ti]\n#3 #1 AND #2"}
    for _ in range(2):
        index.save_search("mine", "aspirin", 10, mode="lexical", filters=filters)
    first, second = index.saved_search("mine").runs
    assert [(line.number, line.count) for line in first.lines] == [(1, 4), (2, 2), (3, 2)]
    assert (first.question, first.mode, first.limit, first.pmids) == ("aspirin", "lexical", 10, second.pmids)
    same = index.saved_difference("mine", 1, 2)
    assert same.changed == {} and same.only_first == same.only_second == same.moved == ()
    put(address, encoder, article(8, "aspirin in stroke, aspirin"))
    index.save_search("mine", "aspirin", 10, mode="lexical", filters=filters)
    found = index.saved_difference("mine", 2, 3)
    assert found.only_second == (8,) and found.only_first == ()
    assert found.changed["articles"] == (6, 7) and set(found.changed) >= {"change", "passing", "lines"}
    with pytest.raises(QueryError, match="has runs 1 to 3, and no run 4"):
        index.saved_difference("mine", 1, 4)
    # What is new is found beside what was known.
    put(address, encoder, article(9, "aspirin in stroke"))
    assert [hit.pmid for hit in index.new_results("mine")] == [9]
    found = index.saved_difference("mine", 3, 4)
    assert (found.only_first, found.only_second, found.moved) == ((), (9,), ())


def test_citations_count_in_the_order_only_as_much_as_the_config_says(index, encoder, address):
    from search.config import Config

    plain = [hit.pmid for hit in index.search("stroke", 10, mode="lexical")]
    assert set(plain) == {1, 3}
    orders = {}
    for share in (0.0, 0.2, 1.0):
        with Index.open(address, config=Config(citation_share=share)) as opened:
            opened._encoder = encoder
            hits = opened.search("aspirin", 10, mode="lexical")
            orders[share] = [hit.pmid for hit in hits]
            assert [hit.rank for hit in hits] == [1, 2, 3, 4]
            assert {hit.pmid: hit.score for hit in hits} == {
                hit.pmid: hit.score for hit in index.search("aspirin", 10, mode="lexical")
            }
    assert orders[0.0] == [hit.pmid for hit in index.search("aspirin", 10, mode="lexical")]
    assert orders[1.0][:2] == [1, 2] and sorted(orders[1.0]) == [1, 2, 3, 5]
