"""A map of hits: each a point in the plane, near those of like meaning, in topics that are named by their terms."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from search.normalize import name_key
from search.retrieval.hit import Hit
from search.retrieval.tsne import embed, squared_distances
from search.storage.rows import Vectors

__all__ = ["Landscape", "Point", "Topic", "landscape_of"]

#: Fewer points than this need no topics and no optimization.
_FEW = 6
_MOST_TOPICS = 8
_TERMS = 4

#: MeSH's check tags and the like: they say who was studied, not what.
_CHECK_TAGS = frozenset(
    {
        "humans", "animals", "male", "female", "adult", "aged", "middle aged", "young adult", "adolescent", "child",
        "child, preschool", "infant", "infant, newborn", "aged, 80 and over", "mice", "rats", "pregnancy",
        "united states", "risk factors", "treatment outcome", "retrospective studies", "prospective studies",
        "time factors", "follow-up studies", "cohort studies", "risk assessment", "risk", "cross-sectional studies",
        "surveys and questionnaires", "case-control studies", "double-blind method", "random allocation",
    }
)  # fmt: skip

#: Words of titles that tell nothing of a topic.
_EMPTY_WORDS = """
a after among an analysis and approach are as assessment associated association at based before between but by
can case cases clinical comparison compared comparative controlled data differences different do does due during
early effect effective effectiveness effects efficacy evaluation evidence factors following for from group health
her high his how human impact in increased influence into is it its levels long low management may measures meta
method methods more new not novel of on one or outcome outcomes over patients people per population potential
prospective randomised randomized related relationship report results retrospective review risk role significance
some specific state status study studies such systematic term than that the their therapy there these this those
through time to towards treatment treated trial trials two under up update use used using versus via vs was we were
what when which who whom why will with within without years year"""

_WORD = re.compile(r"[a-z0-9][a-z0-9'+-]*[a-z0-9]")
_STOP_WORDS = frozenset(_EMPTY_WORDS.split())

#: Words that say something with the word after them only: `severe asthma`, not `severe`.
_DEGREE_WORDS = """
acute advanced chronic common current late major mild minor moderate older recent recurrent severe short small young
younger"""
_DEGREES = frozenset(_DEGREE_WORDS.split())


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """An article on the map: `x` and `y` in [0, 1], `topic` a place in the list of topics."""

    pmid: int
    rank: int
    title: str
    journal: str | None
    year: int | None
    url: str
    retracted: bool
    x: float
    y: float
    topic: int


class Topic(msgspec.Struct, frozen=True, kw_only=True):
    """A group of points near each other: what sets them apart, the first term as its label, and its middle."""

    label: str
    terms: list[str]
    articles: int
    x: float
    y: float


class Landscape(msgspec.Struct, frozen=True, kw_only=True):
    """Points in order of rank, and their topics, the largest first."""

    points: list[Point]
    topics: list[Topic]


def landscape_of(hits: Sequence[Hit], vectors: Vectors) -> Landscape:
    """Lay out hits by their vectors, (hits, dimension) float32 with unit rows. The same hits give the same map."""
    if not hits:
        return Landscape(points=[], topics=[])
    plane = _plane(vectors)
    topics = _topics(vectors)
    terms = _terms([_words(hit) for hit in hits], topics)
    points = [
        Point(
            pmid=hit.pmid,
            rank=hit.rank,
            title=hit.article.title,
            journal=hit.article.journal_abbreviation or None,
            year=hit.article.year,
            url=hit.article.url,
            retracted=hit.article.is_retracted,
            x=round(float(x), 4),
            y=round(float(y), 4),
            topic=int(topic),
        )
        for hit, (x, y), topic in zip(hits, plane, topics, strict=True)
    ]
    return Landscape(points=points, topics=[_topic(found, plane[topics == n]) for n, found in enumerate(terms)])


def _topic(terms: list[str], points: npt.NDArray[np.float64]) -> Topic:
    x, y = np.median(points, axis=0)
    label, *others = terms or ["other"]
    return Topic(label=label, terms=others, articles=len(points), x=round(float(x), 4), y=round(float(y), 4))


def _plane(vectors: Vectors) -> npt.NDArray[np.float64]:
    """Return a place in the unit square for each vector: t-SNE from where a principal component analysis puts it."""
    count = len(vectors)
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    principal = np.zeros((count, 2))
    principal[:, : min(2, len(sizes))] = (left * sizes)[:, :2]
    if count > _FEW and sizes[0] > 1e-9:
        from threadpoolctl import threadpool_limits

        start = principal / principal[:, 0].std() * 1e-4
        # So small a task is done sooner by one thread than by several that wait for each other.
        with threadpool_limits(1):
            principal[:] = embed(centred, start.astype(np.float32), min(30.0, (count - 1) / 3))
    low, high = principal.min(axis=0), principal.max(axis=0)
    span = np.where(high - low > 1e-12, high - low, 1.0)
    placed: npt.NDArray[np.float64] = np.where(high - low > 1e-12, (principal - low) / span, 0.5)
    return placed


def _topics(vectors: Vectors) -> npt.NDArray[np.int64]:
    """Return the topic of each point, 0 for the largest: groups of like meaning (Ward's method)."""
    count = len(vectors)
    groups_wanted = min(_MOST_TOPICS, max(1, round(math.sqrt(count / 6))))
    if count <= _FEW or groups_wanted == 1:
        return np.zeros(count, np.int64)
    _, groups = np.unique(_ward(squared_distances(vectors), groups_wanted), return_inverse=True)
    by_size = np.argsort(-np.bincount(groups), kind="stable")
    rank: npt.NDArray[np.int64] = np.argsort(by_size)[groups].astype(np.int64)
    return rank


def _ward(squared: npt.NDArray[np.floating], count: int) -> npt.NDArray[np.intp]:
    """Return for each point one that stands for its group: `count` groups, merged so that they stay narrow."""
    distances = squared.astype(np.float64)
    np.fill_diagonal(distances, np.inf)
    group, sizes = np.arange(len(distances)), np.ones(len(distances))
    for _ in range(len(distances) - count):
        kept, gone = divmod(int(distances.argmin()), len(distances))
        # The formula of Lance and Williams for Ward's method.
        first, second = sizes + sizes[kept], sizes + sizes[gone]
        merged = first * distances[kept] + second * distances[gone] - sizes * distances[kept, gone]
        distances[kept] = distances[:, kept] = merged / (first + sizes[gone])
        distances[gone] = distances[:, gone] = distances[kept, kept] = np.inf
        sizes[kept] += sizes[gone]
        group[group == gone] = kept
    return group


def _words(hit: Hit) -> dict[str, str]:
    """Return the terms of an article: its MeSH headings, and the words and pairs of words of its title."""
    terms = {
        name_key(heading.descriptor): heading.descriptor
        for heading in hit.article.mesh_headings
        if name_key(heading.descriptor) not in _CHECK_TAGS
    }
    words = _WORD.findall(hit.article.title.lower().replace("[not a real study]", ""))
    telling = [word if word not in _STOP_WORDS and len(word) > 2 and not word.isdigit() else None for word in words]
    for first, second in zip(telling, [*telling[1:], None], strict=True):
        if first:
            if first not in _DEGREES:
                terms.setdefault(first, first)
            if second and second not in _DEGREES:
                terms.setdefault(f"{first} {second}", f"{first} {second}")
    return terms


def _terms(words: Sequence[dict[str, str]], topics: npt.NDArray[np.int64]) -> list[list[str]]:
    """Return what sets each topic apart: terms that many of its articles have and few of the others, best first.

    A term's weight is its share in the topic times the logarithm of that share to its share in all, smoothed.
    """
    everywhere = Counter(key for entry in words for key in entry)
    spelled = {key: text for entry in words for key, text in entry.items()}
    taken: set[str] = set()
    labels = []
    for topic in range(int(topics.max()) + 1):
        within = [entry for entry, place in zip(words, topics, strict=True) if place == topic]
        here = Counter(key for entry in within for key in entry)
        least = 2 if len(within) > 3 else 1
        weights = {
            key: count / len(within) * math.log((count + 0.5) / len(within) * len(words) / (everywhere[key] + 0.5))
            for key, count in here.items()
            if count >= least
        }
        if not taken and topics.max() == 0:
            weights = {key: float(here[key]) for key in weights}
        best = _distinct(sorted(weights, key=lambda key: (-weights[key], -len(key), key)), weights, taken)
        taken.update(best[:1])
        labels.append([spelled[key][:1].upper() + spelled[key][1:] for key in best])
    return labels


def _distinct(keys: Sequence[str], weights: dict[str, Any], taken: set[str]) -> list[str]:
    """Return the first terms that do not say what one before them says."""
    chosen: list[str] = []
    for key in keys:
        if weights[key] <= 0 or len(chosen) == _TERMS:
            break
        stems = {_stem(word) for word in _WORD.findall(key)}
        if key in taken or any(stems & {_stem(word) for word in _WORD.findall(other)} for other in chosen):
            continue
        chosen.append(key)
    return chosen


def _stem(word: str) -> str:
    return word[:5]
