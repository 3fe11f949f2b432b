"""Where an index has nothing on a question, the hits say so; best hits are put in order by date or author."""

from contextlib import closing

import numpy as np
import pytest
from helpers import article, put

from search.article import Author, PartialDate
from search.errors import QueryError
from search.retrieval.engine import Engine
from search.retrieval.floor import kept, measured
from search.retrieval.request import SearchOptions
from search.storage import backend

TOPICS = [[f"word{topic}{letter}" for letter in "abcdef"] for topic in range(6)]


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    from helpers import WordEncoder, words_manifest

    encoder, address = WordEncoder(), tmp_path_factory.mktemp("floor") / "index"
    backend.create(address, words_manifest(encoder))
    chance = np.random.default_rng(0)
    put(
        address,
        encoder,
        *(
            article(
                pmid,
                " ".join(chance.choice(TOPICS[pmid % 6], 4, replace=False)),
                publication_date=PartialDate(year=1990 + pmid % 30),
                authors=(Author(last_name=f"Name{pmid * 7 % 100:02d}"),) if pmid % 5 else (),
            )
            for pmid in range(1, 241)
        ),
        merge=True,
    )
    with closing(backend.open_reader(address)) as reader:
        yield Engine(reader, encoder.encode)


def found(engine, question, **options):
    (hits,) = engine.search([question], SearchOptions(limit=10, **options))
    return hits


def test_a_question_on_what_the_index_has_is_near_enough(engine):
    hits = found(engine, "word3a word3b word3d")
    assert len(hits) == 10 and all(hit.near_enough for hit in hits)


@pytest.mark.parametrize("mode", ["semantic", "hybrid"])
def test_a_question_on_something_else_has_no_hit_near_enough(engine, mode):
    hits = found(engine, "sourdough bread recipes for hungry football players", mode=mode, exact=True, feedback=False)
    assert len(hits) == 10 and not any(hit.near_enough for hit in hits)
    # A limit of one's own takes the place of the marks, and what a strategy selects is not judged.
    assert all(hit.near_enough for hit in found(engine, "sourdough bread recipes", mode=mode, min_score=-1.0))


def test_results_below_a_score_are_left_out(engine):
    scores = [hit.score for hit in found(engine, "word3a word3b")]
    assert [hit.score for hit in found(engine, "word3a word3b", min_score=scores[4])] == [
        score for score in scores if score >= scores[4]
    ]


def test_too_small_an_index_is_not_judged(folder, encoder):
    put(folder, encoder, *(article(pmid, f"title {pmid}") for pmid in range(1, 50)))
    with closing(backend.open_reader(folder)) as reader, reader.view() as view:
        assert measured(view) is None


def test_the_floor_is_kept_with_the_index_until_its_articles_change(address, encoder):
    def articles(first, last):
        chance = np.random.default_rng(first)
        return [article(pmid, " ".join(chance.choice(TOPICS[pmid % 6], 4))) for pmid in range(first, last)]

    put(address, encoder, *articles(1, 121), merge=True)
    notes = []

    def ask():
        notes.clear()
        with closing(backend.open_reader(address)) as reader:
            Engine(reader, encoder.encode, note=lambda *note: notes.append(note)).search(["word3a word3b"])
        with closing(backend.open_writer(address)) as writer:
            for note in notes:
                writer.store.note(*note)
            return writer.store.change()

    change = ask()
    ((name, value),) = notes
    with closing(backend.open_reader(address)) as reader, reader.view() as view:
        assert kept(view) == measured(view)
        assert view.store.settings()[name] == value
    # What is kept is used, is no change, and holds while few articles come.
    assert ask() == change and notes == []
    put(address, encoder, *articles(121, 130), merge=True)
    assert ask() > change and notes == []
    put(address, encoder, *articles(130, 150), merge=True)
    ask()
    ((_, renewed),) = notes
    assert renewed != value
    with closing(backend.open_writer(address)) as writer:
        writer.store.note(name, "damaged")
    ask()
    assert notes == [(name, renewed)]


def test_the_best_are_put_in_order_by_date_and_first_author(engine):
    years = [hit.article.publication_date.year for hit in found(engine, "word3a", sort="date")]
    assert years == sorted(years, reverse=True) and years[0] > years[-1]
    whole = found(engine, "word3a", sort="date")[:4]
    (part,) = engine.search(["word3a"], SearchOptions(limit=2, offset=2, sort="date"))
    assert [hit.pmid for hit in part] == [hit.pmid for hit in whole[2:]]
    (all_names,) = engine.search(["word3a"], SearchOptions(limit=240, sort="first-author"))
    names = [str(hit.article.authors[0]) if hit.article.authors else None for hit in all_names]
    known = [name for name in names if name]
    assert known == sorted(known) and names == known + [None] * (len(names) - len(known)) and None in names
    with pytest.raises(QueryError, match="no order 'dates': did you mean 'date'"):
        SearchOptions(sort="dates")
