"""Evidence: the first sentence shown, by nearness and role and by nearness alone, on four kinds of questions."""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import random
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import numpy as np

from scripts.benchmarks.timing import data_folder, report
from search.api import Index
from search.article import AbstractSection, Article
from search.models.kept_vectors import KeptVectors
from search.retrieval import evidence
from search.retrieval.sentences import abstract_sentences
from search.storage.bm25 import words
from search.training.role_classifier import part_of, read_abstracts

#: How much of the roles' weights is tried: 0 is nearness without roles, 1 what the program does.
SCALES = (0.0, 0.5, 1.0, 1.5)

#: Questions for a detail, and how a sentence looks that holds it.
_COUNT = r"(?:\d[\d,]*|two|three|four|five|six|seven|eight|nine|ten|[a-z]+teen|[a-z]+ty)"
_PEOPLE = r"(?:patients|participants|subjects|women|men|children|adults|infants|volunteers|people)"
DETAILS = {
    "how many patients were randomised?": rf"{_COUNT}[^.]*{_PEOPLE}[^.]*random|random[^.]*{_COUNT}[^.]*{_PEOPLE}",
    "how many patients were included?": rf"{_COUNT}[^.]{{0,40}}{_PEOPLE}",
    "how old were the participants?": r"(?:mean|median|average) age|\baged? [^.]{0,20}\d|\d[^.]{0,12}years? old",
    "how long was the follow-up?": r"follow[^.]{0,60}\d[^.]{0,20}(?:month|year|week|day)|\d[^.]{0,34}follow",
    "what dose was given?": r"\d\s?(?:mg|µg|μg|mcg|ml|IU|units)\b",
    "what was the primary outcome?": r"primary (?:outcome|end ?-?point)",
}
#: MedQuAD's questions are made by template; as people ask them.
LAY = {
    r"What are the treatments for (.+?) ?\?": "how do you get rid of {}?",
    r"What causes (.+?) ?\?": "why do people get {}?",
    r"How to prevent (.+?) ?\?": "what can I do so that I don't get {}?",
    r"Who is at risk for (.+?)\? ?\?": "am I likely to get {}?",
    r"What is the outlook for (.+?) ?\?": "will I get better if I have {}?",
    r"How to diagnose (.+?) ?\?": "how do doctors find out that it is {}?",
    r"What are the complications of (.+?) ?\?": "can {} become dangerous?",
}


class Asked(NamedTuple):
    """A question, what it is a kind of, an abstract, and what a sentence is worth that is shown first (0 to 1)."""

    kind: str
    group: str
    question: str
    article: Article
    worth: dict[str, float]


def unlabelled(text: str) -> Article:
    """Return an abstract without sections."""
    return Article(pmid=1, abstract=(AbstractSection(text),))


def by_sentence(article: Article) -> list[str]:
    """Return the sentences of an abstract."""
    text = article.abstract_text
    return [text[start:end] for start, end in abstract_sentences(article)]


def conclusions(folder: Path) -> Iterator[Asked]:
    """Yield the questions of PubMed QA: a sentence is worth 1 if it is of the conclusion."""
    for key, entry in json.loads((folder / "pubmedqa" / "ori_pqal.json").read_bytes()).items():
        article = unlabelled(f"{' '.join(entry['CONTEXTS'])} {entry['LONG_ANSWER']}")
        worth = {sentence: float(sentence in entry["LONG_ANSWER"]) for sentence in by_sentence(article)}
        yield Asked("conclusions", key, entry["QUESTION"], article, worth)


def details(folder: Path, count: int, draw: random.Random) -> Iterator[Asked]:
    """Yield questions for a detail of abstracts that did not teach the roles: 1 if a sentence holds it."""
    files = sorted((folder / "pubmed_xml").rglob("*.xml*"))
    files += [folder / "pubmed" / "records.jsonl.gz", folder / "scifact" / "corpus.jsonl"]
    abstracts = [abstract for abstract in read_abstracts(files) if part_of(abstract) != "train"]
    draw.shuffle(abstracts)
    for question, pattern in DETAILS.items():
        found = 0
        for abstract in abstracts:
            holds = {text: float(bool(re.search(pattern, text, re.IGNORECASE))) for text in abstract.sentences}
            if 0 < sum(holds.values()) <= 3 and found < count:
                found += 1
                article = unlabelled(" ".join(abstract.sentences))
                worth = {text: holds.get(text, 0.0) for text in by_sentence(article)}
                yield Asked("details", abstract.key, question, article, worth)


def consumers(index: Index, folder: Path, count: int, draw: random.Random) -> Iterator[Asked]:
    """Yield MedQuAD's questions, as they are and as people ask, with the articles that are found.

    A sentence is worth the share of its words, beyond those of the question, that the answer has.
    """
    with gzip.open(folder / "medquad" / "pairs.jsonl.gz", "rt") as lines:
        pairs = [json.loads(line) for line in lines]
    kinds = [(pattern, lay) for pattern, lay in LAY.items()]
    chosen = [
        (pair, match[1], lay)
        for pair in pairs
        for pattern, lay in kinds
        if (match := re.fullmatch(pattern, pair["question"]))
    ]
    for pair, topic, lay in draw.sample(chosen, count):
        for kind, question in (("templated", pair["question"]), ("lay", lay.format(topic))):
            for hit in index.search(question, 5):
                if hit.near_enough and hit.article.abstract_text:
                    asked = set(words(f"{pair['question']} {question}"))
                    answer = set(words(pair["answer"])) - asked
                    worth = {}
                    for sentence in by_sentence(hit.article):
                        mine = set(words(sentence)) - asked
                        worth[sentence] = len(mine & answer) / max(1, len(mine))
                    yield Asked(kind, pair["question"], question, hit.article, worth)


def first_sentences(index: Index, encode: KeptVectors, asked: list[Asked], scale: float | None) -> list[str | None]:
    """Return the first sentence that is shown: by role with a share of the weights; by nearness alone for None."""
    with index._reader.view() as view:
        static = view.store.static()
    vectors = index.encoder.encode([one.question for one in asked], kind="query")
    shown: list[str | None] = []
    for one, vector in zip(asked, vectors, strict=True):
        if scale is None:
            texts = [text for text in one.worth if len(text.split()) > 3] or list(one.worth)
            shown.append(texts[int((encode(texts) @ vector).argmax())])
            continue
        with (
            mock.patch.object(evidence, "_FINDING", evidence._FINDING * scale),
            mock.patch.object(evidence, "_DETAIL", evidence._DETAIL * scale),
        ):
            (found,) = evidence.evidence_for_all([one.article], one.question, vector, encode, 1, static)
        shown.append(found[0].text if found else None)
    return shown


def worths(
    asked: list[Asked], shown: list[str | None], nearest: list[str | None]
) -> dict[str, list[tuple[float, float]]]:
    """Return by kind, for each group that has some, what is shown and what is nearest is worth."""
    groups: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for one, mine, other in zip(asked, shown, nearest, strict=True):
        if mine is not None and other is not None:
            groups[one.kind, one.group].append((one.worth.get(mine, 0.0), one.worth.get(other, 0.0)))
    result: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for (kind, _), pairs in groups.items():
        mine_mean, other_mean = np.mean(pairs, axis=0).tolist()
        result[kind].append((mine_mean, other_mean))
    return result


def compared(pairs: list[tuple[float, float]]) -> dict[str, float]:
    """Return both means of 100, and the 95% interval of their difference by bootstrap over questions."""
    values = 100 * np.array(pairs)
    draw = np.random.default_rng(0)
    differences = values[:, 0] - values[:, 1]
    means = differences[draw.integers(0, len(values), (2000, len(values)))].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5]).tolist()
    mine, nearest = values.mean(axis=0).tolist()
    return {
        "questions": len(values),
        "shown": round(mine, 1),
        "nearest": round(nearest, 1),
        "low": round(low, 1),
        "high": round(high, 1),
    }


def in_half(one: Asked, half: int) -> bool:
    """Whether a question is in a half: the first (0) chooses the weights, the second (1) is reported."""
    return hashlib.sha256(one.group.encode()).digest()[-1] % 2 == half


def main() -> None:
    """Print what the first sentences are worth, by kind and share of the weights, on both halves."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("index", help="an index of real articles")
    parser.add_argument(
        "--count", type=int, default=200, help="questions of MedQuAD, and a third of it for each detail"
    )
    parser.add_argument("--json", help="write the figures to this file too")
    options = parser.parse_args()
    draw, folder = random.Random(0), data_folder()
    figures: dict[str, dict[str, dict[str, float]]] = {}
    with Index.open(options.index) as index:
        asked = [*conclusions(folder), *details(folder, options.count // 3, draw)]
        asked += consumers(index, folder, options.count, draw)
        encode = KeptVectors(lambda texts: index.encoder.encode(texts, kind="document"), 80_000)
        for half, scales in ((0, SCALES), (1, (1.0,))):
            some = [one for one in asked if in_half(one, half)]
            nearest = first_sentences(index, encode, some, None)
            for scale in scales:
                shown = first_sentences(index, encode, some, scale)
                row = {kind: compared(pairs) for kind, pairs in worths(some, shown, nearest).items()}
                figures[f"half {half + 1}, {scale:g} of the weights"] = row
    report("evidence", figures)


if __name__ == "__main__":
    main()
