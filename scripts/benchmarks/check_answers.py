"""The check of written answers: how many true sentences it marks, and how many of the same altered by rule."""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from scripts.benchmarks.timing import data_folder
from search.api import Index
from search.article import AbstractSection, Article
from search.llm.checking import problems_of
from search.retrieval.context import Source
from search.retrieval.evidence import EvidenceSentence
from search.retrieval.roles import role_probabilities
from search.retrieval.section_labels import ROLES
from search.retrieval.sentences import abstract_sentences, sentences_of

_FINITE = re.compile(
    r"\b(?:(?:reduce|increase|improve|decrease|enhance|inhibit|prevent|induce|attenuate|predict|impair|promote)s?|"
    r"(?:is|are) (?:not )?(?:associated|effective|superior|related|safe|more|less)|do(?:es)? not)\b"
)
_NEGATIONS = (
    (r"\b(is|are|was|were|does|do|did|can|could|should|may|might|has|have|had) not ", r"\1 "),
    (r"\bno (differences?|effects?|associations?|changes?|evidence)\b", r"a significant \1"),
    (r"\bwithout\b", "with"),
    (r"\b(is|are|was|were|can|could|should|may|might|has|have|had|did|does|do)\b", r"\1 not"),
    (r"\b(suggest|show|reduce|increase|improve|decrease|enhance|inhibit|prevent|induce|predict)s\b", r"does not \1"),
)
_OPPOSITES = {
    **{"increased": "decreased", "increases": "decreases", "higher": "lower", "more": "less", "better": "worse"},
    **{"reduced": "increased", "reduces": "increases", "improved": "worsened", "improves": "worsens"},
    **{"lower": "higher", "less": "more", "decreased": "increased", "effective": "ineffective", "safe": "unsafe"},
}
_OPPOSITE = re.compile(rf"\b({'|'.join(_OPPOSITES)})\b")
_NUMBER = re.compile(r"(?<![\w.-])\d+(?:\.\d+)?(?![\w-])")


class Claim(NamedTuple):
    """A true sentence: its kind, the abstract that says it, and what its source is compared by."""

    kind: str
    text: str
    source: Source
    key: str


def altered(text: str, draw: random.Random) -> Iterator[tuple[str, str]]:
    """Yield how a sentence was altered, and the sentence: negated, with another number, in the other direction."""
    for pattern, replacement in _NEGATIONS:
        if re.search(pattern, text):
            yield "negated", re.sub(pattern, replacement, text, count=1)
            break
    numbers = list(_NUMBER.finditer(text))
    if numbers:
        one = draw.choice(numbers)
        decimals = len(one[0].partition(".")[2])
        other = f"{float(one[0]) * draw.choice([0.2, 0.5, 1.5, 3]) + 1:.{decimals}f}"
        yield "number", text[: one.start()] + other + text[one.end() :]
    word = _OPPOSITE.search(text)
    if word:
        yield "direction", text[: word.start()] + _OPPOSITES[word[1]] + text[word.end() :]


def source_of(text: str) -> Source:
    """Return an abstract as a source: its sentences without background and aims."""
    article = Article(pmid=1, abstract=(AbstractSection(text),))
    spans = abstract_sentences(article)
    (probabilities,) = role_probabilities([article], [spans])
    roles = [ROLES[int(row.argmax())] for row in probabilities]
    sentences = tuple(
        EvidenceSentence(text[start:end], start, end, 0.0, role)
        for (start, end), role in zip(spans, roles, strict=True)
        if role not in ("background", "aim")
    )
    return Source(number=1, pmid=1, score=0.0, citation="", url="", retracted=False, warnings=(), sentences=sentences)


def claims(index: Index, pubmedqa: Path, half: int, count: int, draw: random.Random) -> Iterator[Claim]:
    """Yield sentences of long answers, with and without them in their source, and titles that state a finding."""
    entries = [(key, entry) for key, entry in json.loads(pubmedqa.read_bytes()).items() if in_half(key, half)]
    for _, entry in draw.sample(entries, min(count, len(entries))):
        contexts = " ".join(entry["CONTEXTS"])
        for text in sentences_of(entry["LONG_ANSWER"])[:1]:
            yield Claim("copied", text, source_of(f"{contexts} {entry['LONG_ANSWER']}"), entry["QUESTION"])
            yield Claim("not in the source", text, source_of(contexts), entry["QUESTION"])
    titles = 0
    for article in index.articles():
        title = article.title.rstrip(".")
        if titles == count:
            return
        states = 6 < len(title.split()) < 30 and _FINITE.search(title) and not re.search("[?:]", title)
        if states and in_half(str(article.pmid), half) and len(article.abstract_text) > 600:
            titles += 1
            yield Claim("title", f"{title}.", source_of(article.abstract_text), title)


def in_half(key: str, half: int) -> bool:
    """Whether a key is in a half: the first (0) chose the thresholds, the second (1) is reported."""
    return hashlib.sha256(key.encode()).digest()[-1] % 2 == half


def main() -> None:
    """Print how many of 100 sentences are marked, by kind and alteration."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("index", help="an index of real articles")
    parser.add_argument("--half", type=int, default=1, choices=(0, 1))
    parser.add_argument("--count", type=int, default=100, help="sentences of each kind")
    options = parser.parse_args()
    draw = random.Random(0)
    marked: dict[tuple[str, str], list[bool]] = defaultdict(list)
    with Index.open(options.index) as index:
        encode = index.engine.sentence_vectors
        for claim in list(
            claims(index, data_folder() / "pubmedqa" / "ori_pqal.json", options.half, options.count, draw)
        ):
            near = [
                hit.article for hit in index.search(claim.key, 6) if claim.text[:40] not in hit.article.abstract_text
            ]
            tried = [
                ("true", claim.text, claim.source),
                *((how, text, claim.source) for how, text in altered(claim.text, draw)),
            ]
            tried += [("near source", claim.text, source_of(draw.choice(near[1:]).abstract_text))] if near[1:] else []
            for how, text, source in tried:
                marked[claim.kind, how].append(bool(problems_of(text, (1,), [source], encode)))
    for (kind, how), results in sorted(marked.items()):
        print(f"{kind:18} {how:12} {len(results):5} {100 * sum(results) / len(results):6.1f}")


if __name__ == "__main__":
    main()
