"""A map of results: like things lie together, topics are named by what sets them apart, each time the same."""

import numpy as np
from helpers import WordEncoder, article

from search.article import MeshHeading
from search.retrieval.hit import Hit
from search.retrieval.landscape import landscape_of

SUBJECTS = {
    "Asthma": ["wheezing child inhaler", "asthma inhaler steroid", "asthma attacks inhaler wheezing"],
    "Migraine": ["migraine aura headache", "headache triptan migraine", "migraine triptan aura"],
    "Fracture": ["hip fracture fall", "fall bone fracture", "bone fracture hip fall"],
}


def hits(repeated=18):
    found = []
    for subject, titles in SUBJECTS.items():
        for number in range(repeated):
            pmid = len(found) + 1
            title = f"{titles[number % 3]} study {number}"
            headings = (MeshHeading(subject), MeshHeading("Humans"))
            found.append(Hit(rank=pmid, score=1.0, article=article(pmid, title, mesh_headings=headings)))
    return found


def vectors(found):
    return WordEncoder().encode([hit.article.title for hit in found])


def test_subjects_lie_apart_and_name_their_topics():
    found = hits()
    map_ = landscape_of(found, vectors(found))
    place = np.array([(point.x, point.y) for point in map_.points])
    subject = np.repeat(np.arange(3), 18)
    distance = np.linalg.norm(place[:, None] - place[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    assert (subject[distance.argmin(axis=1)] == subject).mean() > 0.9
    assert place.min() == 0 and place.max() == 1
    labels = {topic.label for topic in map_.topics}
    terms = {term for topic in map_.topics for term in (topic.label, *topic.terms)}
    assert "Humans" not in terms and "Study" not in terms
    assert labels & {"Asthma", "Inhaler"} and labels & {"Migraine", "Triptan"} and terms & {"Fracture", "Fall", "Hip"}


def test_a_word_of_degree_names_no_topic_alone():
    found = [Hit(rank=n, score=1.0, article=article(n, f"severe moderate asthma {n}")) for n in range(1, 5)]
    (topic,) = landscape_of(found, vectors(found)).topics
    assert topic.label == "Moderate asthma" and "Severe" not in topic.terms


def test_topics_hold_each_point_once_the_largest_first():
    found = hits()
    map_ = landscape_of(found, vectors(found))
    counts = [sum(point.topic == number for point in map_.points) for number in range(len(map_.topics))]
    assert [topic.articles for topic in map_.topics] == counts == sorted(counts, reverse=True)
    assert [point.pmid for point in map_.points] == [hit.pmid for hit in found]


def test_the_same_hits_give_the_same_map():
    found = hits()
    assert landscape_of(found, vectors(found)) == landscape_of(found, vectors(found))


def test_few_hits_and_equal_ones():
    assert landscape_of([], np.empty((0, 32), np.float32)).points == []
    for count in (1, 2, 5, 7):
        found = hits()[:count]
        map_ = landscape_of(found, vectors(found))
        assert len(map_.points) == count and map_.topics[0].articles == count
    same = np.repeat(vectors(hits()[:1]), 9, axis=0)
    assert {(point.x, point.y) for point in landscape_of(hits()[:9], same).points} == {(0.5, 0.5)}
