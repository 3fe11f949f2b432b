"""Teaching the roles of sentences: structured abstracts, split by article, to a linear-chain conditional random field.

Sections that may hold two roles (`METHODS AND RESULTS`) are taught as such: the likelihood is that of any role allowed.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from search.article import Article
from search.formats.open import open_source
from search.retrieval.roles import RoleModel, feature_scores, features, marginals
from search.retrieval.section_labels import ALL_ROLES, LABEL_WORDS, ROLES, Role, roles_of_label, roles_of_section
from search.retrieval.sentences import sentence_spans

__all__ = ["Abstract", "RoleReport", "part_of", "read_abstracts", "report_lines", "train_roles"]

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

#: A feature must be in so many sentences; the penalty on squared weights; steps of L-BFGS. Chosen on the development
#: part.
_LEAST = 8
_PENALTY = 30.0
_STEPS = 60

#: So many of 100 abstracts are held out, and so many more are the development part.
_HELD_OUT, _DEVELOPMENT = 12, 8

_MODIFIERS = """abstract data evidence key main primary principal research review reviewers authors study trial
    experimental clinical case funding limitations registration relevance summary strengths level number"""
_WORD = "|".join(sorted([*LABEL_WORDS, *_MODIFIERS.split()], key=len, reverse=True))
_JOINT = r"(?:,? (?:and|of|or|&) |, ?|/| ?& ?|-| )"
#: Labels in running text: before a colon, or in capitals or as a title before the next sentence.
_BEFORE = r"(?:^|(?<=[.?!)\]%\n:;])\s*|\n)"
_LABEL = re.compile(
    rf"{_BEFORE}(?:"
    r"(?P<a>[A-Z][A-Z/&,'() -]{2,60}[A-Z)]|[A-Z][a-z]+(?:[ /][A-Za-z&]+){0,5}(?:\(s\))?)\s*:\s*|"
    rf"(?P<b>(?:{_WORD.upper()})(?:{_JOINT.upper()}(?:{_WORD.upper()}))*)(?=[\s:])[\s:]+|"
    rf"(?P<c>(?:Abstract )?(?:{_WORD.title()})(?:{_JOINT}(?i:{_WORD}))*)[. ]\s*(?=[A-Z0-9]))"
)
#: Tags of headings and paragraphs.
_TAG = re.compile(r"</?(?:\w+:)?(?:h\d|p|b|bold|strong|title|sec|div|br)\b[^<>]{0,60}>")
#: A section of more sentences of aim, or of background, is one whose end was not seen.
_MOST = {"aim": 5, "background": 9}


class Abstract(NamedTuple):
    """A structured abstract: where it is from, its sentences without labels, and the roles that each may have."""

    source: str
    key: str
    sentences: list[str]
    allowed: list[frozenset[Role]]


class RoleReport(msgspec.Struct, frozen=True, kw_only=True):
    """What came of the training: how many abstracts and features, and by part the accuracy and F1 of each role."""

    abstracts: dict[str, int]
    features: int
    bytes: int
    accuracy: dict[str, float]
    sentences: dict[str, int]
    f1: dict[str, dict[str, float]]


# Abstracts -----------------------------------------------------------------------------------------------------------


def read_abstracts(paths: Iterable[Path]) -> list[Abstract]:
    """Read the structured abstracts of files, each once.

    PubMed QA's JSON, a BEIR `corpus.jsonl`, and every format that `search add` reads.
    """
    abstracts: dict[str, Abstract] = {}
    for path in paths:
        for source, sections in _sections_of_file(path):
            abstract = _abstract(source, sections)
            if abstract is not None:
                abstracts.setdefault(abstract.key, abstract)
    return list(abstracts.values())


_Sections = list[tuple[frozenset[Role], str]]


def _sections_of_file(path: Path) -> Iterator[tuple[str, _Sections]]:
    if path.suffix == ".json":
        for pmid, entry in json.loads(path.read_bytes()).items():
            labelled = zip(entry["LABELS"], entry["CONTEXTS"], strict=True)
            sections = [(roles_of_label(label) or ALL_ROLES, text) for label, text in labelled]
            half = hashlib.sha256(pmid.encode()).digest()[-1] % 2
            yield f"pubmedqa-{half}", [*sections, (frozenset[Role](["conclusions"]), entry["LONG_ANSWER"])]
    elif path.name == "corpus.jsonl":
        for line in path.open("rb"):
            yield path.parent.name, _labelled_text(json.loads(line)["text"])
    else:
        for record in open_source(path):
            article = getattr(record, "article", record)
            if isinstance(article, Article):
                yield path.parent.name, _sections_of_article(article)


def _sections_of_article(article: Article) -> _Sections:
    if len(article.abstract) > 1:
        return [(roles_of_section(section), section.text) for section in article.abstract]
    return _labelled_text(article.abstract_text)


def _labelled_text(text: str) -> _Sections:
    """Return the sections of a text with labels in it; none unless it begins with one and has three roles at least.

    A tag around a label is left out.
    """
    text = _TAG.sub(" ", text).strip() if "<" in text else text
    labels = [
        (match.start(), match.end(), roles)
        for match in _LABEL.finditer(text)
        if (roles := roles_of_label(match["a"] or match["b"] or match["c"])) is not None
    ]
    if len(labels) < 3 or labels[0][0] > 2:
        return []
    ends = [start for start, _, _ in labels[1:]] + [len(text)]
    sections = [(roles, text[start:end]) for (_, start, roles), end in zip(labels, ends, strict=True)]
    return sections


def _abstract(source: str, sections: _Sections) -> Abstract | None:
    plain = {next(iter(roles)) for roles, _ in sections if len(roles) == 1}
    if len(plain) < 3 or "conclusions" not in plain or plain.isdisjoint(("methods", "results")):
        return None
    sentences: list[str] = []
    allowed: list[frozenset[Role]] = []
    for roles, text in sections:
        text = " ".join(text.split()).strip(" ;")
        text = text[:1].upper() + text[1:]
        for start, end in sentence_spans(text):
            if end - start > 2:
                sentences.append(text[start:end])
                allowed.append(roles)
    counts = Counter[str](next(iter(roles)) for roles in allowed if len(roles) == 1)
    if not 4 <= len(sentences) <= 40 or any(counts[role] > most for role, most in _MOST.items()):
        return None
    return Abstract(source, re.sub(r"\W+", "", " ".join(sentences).lower())[:150], sentences, allowed)


def part_of(abstract: Abstract) -> str:
    """Return the part an abstract belongs to: `train`, `development`, `held out`, or `PubMed QA, second half`."""
    if abstract.source == "pubmedqa-1":
        return "PubMed QA, second half"
    percentile = int.from_bytes(hashlib.sha256(abstract.key.encode()).digest()[:4], "big") % 100
    if percentile < _HELD_OUT:
        return "held out"
    return "development" if percentile < _HELD_OUT + _DEVELOPMENT else "train"


# Training ------------------------------------------------------------------------------------------------------------


def train_roles(
    abstracts: Sequence[Abstract], folder: Path, say: Callable[[str], None] = lambda line: None
) -> RoleReport:
    """Teach a model with the abstracts of the training part, write `weights.npz` into a folder, and measure it.

    Only sentences whose section allows one role are counted.
    """
    parts: dict[str, list[Abstract]] = {}
    for abstract in abstracts:
        parts.setdefault(part_of(abstract), []).append(abstract)
    model = _rounded(_fitted(parts["train"], say))
    folder.mkdir(parents=True, exist_ok=True)
    _write(model, folder / "weights.npz")
    scores = {part: _measured(some, model) for part, some in sorted(parts.items()) if part != "train"}
    return RoleReport(
        abstracts={part: len(some) for part, some in sorted(parts.items())},
        features=len(model.rows),
        bytes=(folder / "weights.npz").stat().st_size,
        accuracy={part: accuracy for part, (accuracy, _, _) in scores.items()},
        f1={part: f1 for part, (_, f1, _) in scores.items()},
        sentences={part: count for part, (_, _, count) in scores.items()},
    )


def _fitted(abstracts: Sequence[Abstract], say: Callable[[str], None]) -> RoleModel:
    from scipy.optimize import minimize
    from scipy.sparse import csr_matrix

    feature_names = [names for abstract in abstracts for names in features(abstract.sentences)]
    counts = Counter(name for names in feature_names for name in names)
    index = {name: row for row, name in enumerate(sorted(name for name, count in counts.items() if count >= _LEAST))}
    columns = [[index[name] for name in names if name in index] for names in feature_names]
    pointers = np.cumsum([0, *map(len, columns)])
    flat = np.array([column for row in columns for column in row])
    matrix = csr_matrix((np.ones(len(flat)), flat, pointers), shape=(len(feature_names), len(index)))
    transposed = matrix.T.tocsr()
    chains = _Chains([len(abstract.sentences) for abstract in abstracts])
    ruled_out = np.where(np.concatenate([_mask(abstract) for abstract in abstracts]), 0.0, -1e4)
    size = len(index) * len(ROLES)

    def loss(values: Floats) -> tuple[float, Floats]:
        emissions = matrix @ values[:size].reshape(-1, len(ROLES))
        free, free_nodes, free_chain = chains.expected(emissions, values[size:])
        fixed, fixed_nodes, fixed_chain = chains.expected(emissions + ruled_out, values[size:])
        gradient = np.concatenate([(transposed @ (free_nodes - fixed_nodes)).ravel(), free_chain - fixed_chain])
        return free - fixed + _PENALTY / 2 * float(values @ values), gradient + _PENALTY * values

    say(f"{len(abstracts):,} abstracts, {len(feature_names):,} sentences, {len(index):,} features")
    fit = minimize(loss, np.zeros(size + 35), jac=True, method="L-BFGS-B", options={"maxiter": _STEPS, "maxcor": 8})
    chain = fit.x[size:].reshape(7, 5)
    weights = fit.x[:size].reshape(-1, len(ROLES)).astype(np.float32)
    return RoleModel(index, weights, chain[:5], chain[5], chain[6])


class _Chains:
    """Sentences of abstracts, one after another in a matrix, as chains side by side."""

    def __init__(self, lengths: Sequence[int]) -> None:
        self.lengths = np.array(lengths)
        starts = np.cumsum([0, *lengths[:-1]])
        self.inside = np.arange(max(lengths)) < self.lengths[:, None]
        self.rows = np.where(self.inside, starts[:, None] + np.arange(max(lengths)), 0)

    def expected(self, emissions: Floats, chain: Floats) -> tuple[float, Floats, Floats]:
        """Return the sum of log Z, how often each role is expected in each sentence, and each pair of roles."""
        transitions, start, end = chain[:25].reshape(5, 5), chain[25:30], chain[30:]
        scores = np.where(self.inside[..., None], emissions[self.rows], 0.0)
        forward, backward = np.zeros_like(scores), np.zeros_like(scores)
        forward[:, 0] = start + scores[:, 0]
        last = scores.shape[1]
        for place in range(1, last):
            step = np.logaddexp.reduce(forward[:, place - 1, :, None] + transitions, axis=1) + scores[:, place]
            forward[:, place] = np.where(self.inside[:, place, None], step, forward[:, place - 1])
        total = np.logaddexp.reduce(forward[:, -1] + end, axis=1)
        backward[:, -1] = end
        pairs = np.zeros((5, 5))
        for place in range(last - 2, -1, -1):
            ahead = (scores[:, place + 1] + backward[:, place + 1])[:, None, :]
            inside = self.inside[:, place + 1, None]
            backward[:, place] = np.where(inside, np.logaddexp.reduce(transitions + ahead, axis=2), end)
            joint = forward[:, place, :, None] + transitions + ahead - total[:, None, None]
            pairs += np.exp(joint)[self.inside[:, place + 1]].sum(axis=0)
        nodes = np.exp(forward + backward - total[:, None, None]) * self.inside[..., None]
        ends = nodes[np.arange(len(self.lengths)), self.lengths - 1].sum(axis=0)
        return float(total.sum()), nodes[self.inside], np.concatenate([pairs.ravel(), nodes[:, 0].sum(axis=0), ends])


def _mask(abstract: Abstract) -> Mask:
    return np.array([[role in roles for role in ROLES] for roles in abstract.allowed])


def _rounded(model: RoleModel) -> RoleModel:
    """Return the model as it is stored: features that weigh nothing left out, weights in float16."""
    weights = model.weights.astype(np.float16)
    kept = np.flatnonzero(np.abs(weights).max(axis=1) > 0.01)
    names = list(model.rows)
    index = {names[row]: place for place, row in enumerate(kept.tolist())}
    chain = [part.astype(np.float16).astype(np.float64) for part in (model.transitions, model.start, model.end)]
    return RoleModel(index, weights[kept].astype(np.float32), *chain)


def _write(model: RoleModel, path: Path) -> None:
    chain = np.concatenate([model.transitions, model.start[None], model.end[None]])
    np.savez_compressed(
        path,
        features=np.frombuffer("\n".join(model.rows).encode(), dtype=np.uint8),
        weights=model.weights.astype(np.float16),
        chain=chain.astype(np.float16),
    )


def _measured(abstracts: Sequence[Abstract], model: RoleModel) -> tuple[float, dict[str, float], int]:
    scores = [feature_scores(abstract.sentences, model) for abstract in abstracts]
    free = [np.ones_like(chain, dtype=bool) for chain in scores]
    predicted = np.concatenate([found.argmax(axis=1) for found in marginals(scores, free, model)])
    allowed = np.concatenate([_mask(abstract) for abstract in abstracts])
    one = allowed.sum(axis=1) == 1
    truth, predicted = allowed[one].argmax(axis=1), predicted[one]
    f1: dict[str, float] = {}
    for number, role in enumerate(ROLES):
        both = int(((truth == number) & (predicted == number)).sum())
        f1[role] = 2 * both / max(1, int((truth == number).sum() + (predicted == number).sum()))
    return float((truth == predicted).mean()), f1, len(truth)


def report_lines(report: RoleReport) -> list[str]:
    """Return the report as a table in Markdown."""
    lines = ["| part | abstracts | sentences | accuracy | " + " | ".join(f"F1 {role}" for role in ROLES) + " |"]
    lines.append("|---|---|---|---|" + "---|" * len(ROLES))
    for part, accuracy in report.accuracy.items():
        numbers = [f"{report.abstracts[part]:,}", f"{report.sentences[part]:,}", f"{accuracy:.3f}"]
        numbers += [f"{report.f1[part][role]:.3f}" for role in ROLES]
        lines.append(f"| {part} | {' | '.join(numbers)} |")
    return lines
