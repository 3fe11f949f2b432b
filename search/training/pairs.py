"""Mine training pairs from articles: (title, abstract), (title, similar title) and two kinds taken from the abstract.

The similar title is the best BM25 match over all titles. Titles stand in a temporary tantivy index and only the sampled
articles are kept in memory, so the input may be far larger than memory.
"""

from __future__ import annotations

import gzip
import hashlib
import heapq
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from search.article import Article
from search.errors import TrainingError
from search.retrieval.sentences import sentences_of
from search.storage.bm25 import analyzer, words

__all__ = ["DEFAULT_KINDS", "KINDS", "Pair", "PairsReport", "mine_pairs", "read_pairs"]

#: Every kind of pair that can be mined.
KINDS = ("title-abstract", "similar-title", "title-conclusion", "sentence-rest")

#: The kinds of the reference model's recipe.
DEFAULT_KINDS = ("title-abstract", "similar-title")

#: How many of the sampled articles the reference recipe needs: two pairs each, about 484,600 pairs in all.
DEFAULT_SAMPLE = 250_000

#: Two titles that share this part of their words (Jaccard) are taken for the same title.
NEAR_IDENTICAL = 0.9

#: Hits of one title that are looked at; the second number is tried where none of the first can be used.
HIT_LIMITS = (16, 200)

_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Pair:
    """Two texts that mean the same, the kind of pair they are, and the PMIDs they come from."""

    anchor: str
    positive: str
    kind: str
    pmids: tuple[int, ...]


@dataclass
class PairsReport:
    """What `mine_pairs` wrote and what it left out.

    `lengths` holds the mean number of words of (anchor, positive) by kind, `examples` the first pairs of each kind.
    """

    output: Path
    articles: int = 0
    sampled: int = 0
    pairs: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    lengths: dict[str, tuple[float, float]] = field(default_factory=dict)
    examples: dict[str, list[Pair]] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """The number of pairs of all kinds."""
        return sum(self.pairs.values())

    def leave_out(self, reason: str) -> None:
        """Count one pair that could not be made."""
        self.left_out[reason] = self.left_out.get(reason, 0) + 1

    def add(self, pair: Pair, *, examples: int = 3) -> None:
        """Count one pair that was written."""
        count = self.pairs.get(pair.kind, 0)
        before = self.lengths.get(pair.kind, (0.0, 0.0))
        words = (len(pair.anchor.split()), len(pair.positive.split()))
        self.pairs[pair.kind] = count + 1
        self.lengths[pair.kind] = (
            (before[0] * count + words[0]) / (count + 1),
            (before[1] * count + words[1]) / (count + 1),
        )
        if count < examples:
            self.examples.setdefault(pair.kind, []).append(pair)


def mine_pairs(
    articles: Iterable[Article],
    output: Path,
    *,
    seed: int = 0,
    sample: int | None = DEFAULT_SAMPLE,
    kinds: Sequence[str] = DEFAULT_KINDS,
    minimum_title_words: int = 3,
    minimum_abstract_words: int = 20,
    progress: Callable[[str, int], None] | None = None,
) -> PairsReport:
    """Write the training pairs of a random sample of articles to `output`, JSON lines, gzipped if it ends in `.gz`.

    Which articles are sampled depends on the seed and their PMIDs only, not on their order; the same articles and the
    same seed give the same bytes. `sample=None` takes every article. A similar title is never the article's own, never
    nearly the same words (`NEAR_IDENTICAL`), and no pair of titles is written twice, in either direction; of equal
    scores the smaller PMID wins. `progress` is called with a stage ("read", "mine") and how far it has come.

    Raises TrainingError if a kind is not known, the output cannot be written, or not one pair could be made.
    """
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown or not kinds:
        raise TrainingError(f"kinds of pairs: {', '.join(unknown) or 'none given'}; known are {', '.join(KINDS)}")
    if sample is not None and sample < 1:
        raise TrainingError(f"a sample of {sample} articles gives no pairs; ask for one or more")
    output = Path(output)
    report = PairsReport(output)
    with tempfile.TemporaryDirectory(prefix="search-pairs-", ignore_cleanup_errors=True) as folder:
        titles = _TitleIndex(Path(folder)) if "similar-title" in kinds else None
        chosen = _read(articles, titles, report, seed, sample, minimum_title_words, progress)
        pairs = _make(chosen, titles, report, kinds, minimum_abstract_words, progress)
        _write(pairs, output, report)
    return report


def read_pairs(path: Path) -> list[Pair]:
    """Read the pairs that `mine_pairs` wrote; anchors and positives must not be empty, other fields are optional.

    Raises TrainingError naming the file and line.
    """
    path = Path(path)
    pairs: list[Pair] = []
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    pairs.append(_parse_pair(line, f"{path} line {number}"))
    except FileNotFoundError as error:
        raise TrainingError(f"{path} does not exist; make pairs first (`search train pairs`)") from error
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise TrainingError(f"{path} cannot be read after {len(pairs)} pairs: {error}") from error
    return pairs


def _parse_pair(line: str, where: str) -> Pair:
    try:
        fields = json.loads(line)
    except ValueError as error:
        raise TrainingError(
            f"{where} is not JSON ({error}); each line is one pair with an anchor and a positive"
        ) from error
    for name in ("anchor", "positive"):
        text = fields.get(name) if isinstance(fields, dict) else None
        if not isinstance(text, str) or not text.strip():
            raise TrainingError(f"{where} has no text in '{name}'; remove the line or mine the pairs again")
    pmids = fields.get("pmids") or ()
    return Pair(fields["anchor"], fields["positive"], str(fields.get("kind", "")), tuple(pmids))


@dataclass(frozen=True)
class _Chosen:
    """What is kept of a sampled article."""

    pmid: int
    title: str
    abstract: str


def _sample_key(seed: int, pmid: int) -> int:
    """Return the number by which articles are drawn: those with the smallest are the sample."""
    return int.from_bytes(hashlib.blake2b(f"{seed}:{pmid}".encode(), digest_size=8).digest(), "big")


def _read(
    articles: Iterable[Article],
    titles: _TitleIndex | None,
    report: PairsReport,
    seed: int,
    sample: int | None,
    minimum_title_words: int,
    progress: Callable[[str, int], None] | None,
) -> list[_Chosen]:
    """Put every title into the index and return the sampled articles in the order of their keys."""
    heap: list[tuple[int, int]] = []
    kept: dict[int, _Chosen] = {}
    for article in articles:
        report.articles += 1
        if progress is not None and report.articles % 1000 == 0:
            progress("read", report.articles)
        title = _clean_title(article.title)
        if len(_WORD.findall(title)) < minimum_title_words:
            report.leave_out("title too short")
            continue
        if article.pmid in kept:
            report.leave_out("PMID seen before")
            continue
        if titles is not None:
            titles.add(article.pmid, title)
        # The heap holds negated keys, so that its top is the largest key of the sample: the next to go.
        key = _sample_key(seed, article.pmid)
        entry = (-key, article.pmid)
        if sample is None or len(heap) < sample:
            heapq.heappush(heap, entry)
        elif entry > heap[0]:
            del kept[heapq.heapreplace(heap, entry)[1]]
        else:
            continue
        kept[article.pmid] = _Chosen(article.pmid, title, article.abstract_text.strip())
    report.sampled = len(kept)
    return [kept[pmid] for _, pmid in sorted(heap, reverse=True)]


def _clean_title(title: str) -> str:
    """Return the title without the brackets that PubMed puts around a translated one."""
    title = " ".join(title.split())
    if title.startswith("[") and title.rstrip(".").endswith("]"):
        title = title.rstrip(".")[1:-1].strip()
    return title


def _make(
    chosen: list[_Chosen],
    titles: _TitleIndex | None,
    report: PairsReport,
    kinds: Sequence[str],
    minimum_abstract_words: int,
    progress: Callable[[str, int], None] | None,
) -> Iterator[Pair]:
    """Yield the pairs of every sampled article, in the given order of kinds."""
    written: set[tuple[int, int]] = set()
    if titles is not None:
        titles.finish()
    for number, article in enumerate(chosen, 1):
        if progress is not None and number % 1000 == 0:
            progress("mine", number)
        for kind in kinds:
            if kind == "similar-title" and titles is not None:
                pair = _similar_title(article, titles, written, report)
            else:
                pair = _from_abstract(article, kind, minimum_abstract_words, report)
            if pair is not None:
                yield pair


def _similar_title(
    article: _Chosen, titles: _TitleIndex, written: set[tuple[int, int]], report: PairsReport
) -> Pair | None:
    other = titles.similar(article.pmid, article.title)
    if other is None:
        report.leave_out("no similar title")
        return None
    pmid, title = other
    key = (min(article.pmid, pmid), max(article.pmid, pmid))
    if key in written:
        report.leave_out("similar title paired before")
        return None
    written.add(key)
    return Pair(article.title, title, "similar-title", (article.pmid, pmid))


def _from_abstract(article: _Chosen, kind: str, minimum_words: int, report: PairsReport) -> Pair | None:
    if len(article.abstract.split()) < minimum_words:
        report.leave_out("abstract too short")
        return None
    if kind == "title-abstract":
        return Pair(article.title, article.abstract, kind, (article.pmid,))
    sentences = sentences_of(article.abstract)
    if len(sentences) < 3:
        report.leave_out("too few sentences")
        return None
    if kind == "title-conclusion":
        return Pair(article.title, " ".join(sentences[-2:]), kind, (article.pmid,))
    # A sentence of the second half states a finding more often than one of the first; the PMID draws which.
    number = len(sentences) // 2 + article.pmid % (len(sentences) - len(sentences) // 2)
    rest = " ".join([article.title, *sentences[:number], *sentences[number + 1 :]])
    return Pair(sentences[number], rest, kind, (article.pmid,))


def _write(pairs: Iterator[Pair], output: Path, report: PairsReport) -> None:
    """Write to a temporary name and move it in place when it is whole."""
    temporary = output.with_name(f"{output.name}.partial")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainingError(f"{output} cannot be written: {error}; choose another place") from error
    try:
        with temporary.open("wb") as raw:
            # No name and no time in the gzip header: the same pairs are the same bytes.
            stream: Any = gzip.GzipFile("", "wb", 6, raw, mtime=0) if output.suffix == ".gz" else raw
            for pair in pairs:
                report.add(pair)
                row = {"anchor": pair.anchor, "positive": pair.positive, "kind": pair.kind, "pmids": pair.pmids}
                stream.write(json.dumps(row, ensure_ascii=False).encode("utf-8", "replace") + b"\n")
            if stream is not raw:
                stream.close()
            raw.flush()
            os.fsync(raw.fileno())
        if not report.total:
            raise TrainingError(
                f"not one pair could be made of {report.articles} articles ({_reasons(report)}); add more articles"
            )
        temporary.replace(output)
    except OSError as error:
        raise TrainingError(f"{output} cannot be written: {error}; free some space or choose another place") from error
    finally:
        temporary.unlink(missing_ok=True)


def _reasons(report: PairsReport) -> str:
    return ", ".join(f"{reason}: {count}" for reason, count in sorted(report.left_out.items())) or "no articles came"


class _TitleIndex:
    """BM25 over all titles, in a tantivy index of its own folder."""

    def __init__(self, folder: Path) -> None:
        import tantivy

        self._tantivy = tantivy
        builder = tantivy.SchemaBuilder()
        builder.add_text_field("title", stored=True, tokenizer_name="words", index_option="freq")
        builder.add_integer_field("pmid", stored=False, fast=True)
        self._schema = builder.build()
        self._index = tantivy.Index(self._schema, path=str(folder))
        self._index.register_tokenizer("words", analyzer())
        # One thread keeps the order of documents, and so of equal scores, the same from run to run.
        self._writer = self._index.writer(heap_size=64_000_000, num_threads=1)

    def add(self, pmid: int, title: str) -> None:
        self._writer.add_document(self._tantivy.Document(title=title, pmid=pmid))

    def finish(self) -> None:
        self._writer.commit()
        self._writer.wait_merging_threads()
        self._index.reload()
        self._searcher = self._index.searcher()

    def similar(self, pmid: int, title: str) -> tuple[int, str] | None:
        """Return PMID and title of the nearest other title that does not say the same in the same words."""
        query = self._query(title)
        own = _words(title)
        for limit in HIT_LIMITS:
            hits = self._searcher.search(query, limit, count=False).hits
            pmids = self._searcher.fast_field_values("pmid", [address for _, address in hits])
            # Scores that differ in the seventh digit only are rounding, not an order.
            ranked = sorted(zip(hits, pmids, strict=True), key=lambda entry: (-round(entry[0][0], 5), entry[1]))
            for (_, address), other in ranked:
                if other == pmid:
                    continue
                candidate = self._searcher.doc(address)["title"][0]
                if not _nearly_identical(own, _words(candidate)):
                    return other, candidate
            if len(hits) < limit:
                break
        return None

    def _query(self, title: str) -> Any:
        query, occur = self._tantivy.Query, self._tantivy.Occur
        terms = dict.fromkeys(words(title))
        return query.boolean_query([(occur.Should, query.term_query(self._schema, "title", term)) for term in terms])


def _words(title: str) -> frozenset[str]:
    return frozenset(_WORD.findall(title.casefold()))


def _nearly_identical(left: frozenset[str], right: frozenset[str]) -> bool:
    return len(left & right) >= NEAR_IDENTICAL * len(left | right)
