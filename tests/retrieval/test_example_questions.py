"""Questions to begin with: real questions first, nothing odd, no more than four."""

from search.article import AbstractSection, Article
from search.retrieval.example_questions import example_questions


def article(pmid, title, **other):
    return Article(pmid=pmid, title=title, **{"abstract": (AbstractSection("Text."),), **other})


def examples(*articles):
    asking = [known.pmid for known in articles if known.title.endswith("?")]
    return example_questions(
        lambda strategy: asking if "does[ti]" in strategy else [known.pmid for known in articles],
        lambda pmids: [known for known in articles if known.pmid in pmids],
    )


def test_questions_come_first():
    titles = [
        "Bed nets and malaria in children.",
        "Bed nets: are they worth it in towns?",
        "Does aspirin prevent bowel cancer?",
    ]
    assert examples(*(article(place, title) for place, title in enumerate(titles, 1))) == titles[::-1]


def test_what_is_odd_is_left_out():
    assert (
        examples(
            article(1, "[Does aspirin prevent bowel cancer?]"),
            article(2, "DOES ASPIRIN PREVENT BOWEL CANCER?"),
            article(3, "Does aspirin prevent cancer of the bowel?", abstract=()),
            article(4, "Does aspirin prevent heart attacks?", languages=("ger",)),
            article(5, "Is it?"),
        )
        == []
    )


def test_four_from_all_parts_of_the_list():
    titles = [f"Does drug number {number:02d} help patients?" for number in range(12)]
    found = examples(*(article(place, title) for place, title in enumerate(titles, 1)))
    assert found == [titles[0], titles[3], titles[6], titles[9]]
