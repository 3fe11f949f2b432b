"""What each sentence of an abstract is for: background, aim, methods, results or conclusions.

Where the abstract is structured, its sections say. Elsewhere a small linear-chain model predicts (`role_model/`): the
words and pairs of words of a sentence, its place in the abstract and the roles of its neighbours. Its weights were
taught by `search.training.role_classifier`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from search.article import Article
from search.retrieval.section_labels import ALL_ROLES, ROLES, Role, roles_of_label, roles_of_section

__all__ = ["RoleModel", "allowed_roles", "feature_scores", "features", "load_roles", "marginals", "role_probabilities"]

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_FOLDER = Path(__file__).with_name("role_model")

#: The score of a role that the section of a sentence rules out.
_RULED_OUT = -1e4

_TOKEN = re.compile(r"[a-z]+(?:['-][a-z]+)*|\d[\d.,]*|[%=<>±≤≥?;:(]")

#: A label that stands in the text between two sentences: `METHODS: `, `Results. `, `<h3>Results</h3> `.
_PRINTED_LABEL = re.compile(r"([A-Za-z][A-Za-z ,/&()'-]+?)\s*(?::|\.|--?|)\s*$")
_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,60}>")
#: A text with so many labels has its sections labelled.
_SECTIONED = 3


class RoleModel(NamedTuple):
    """A linear-chain model: scores of features by role, and of roles that follow each other.

    `rows` gives each feature its row of `weights`, (features, 5); `transitions` is (5, 5) from the row's role to the
    column's, `start` and `end` (5,); roles are in the order of `ROLES`.
    """

    rows: Mapping[str, int]
    weights: npt.NDArray[np.float32]
    transitions: Floats
    start: Floats
    end: Floats


@cache
def load_roles(folder: Path = _FOLDER) -> RoleModel:
    """Read a model that `search.training.role_classifier` wrote."""
    with np.load(folder / "weights.npz", allow_pickle=False) as stored:
        names = stored["features"].tobytes().decode().split("\n")
        chain = stored["chain"].astype(np.float64)
        weights = stored["weights"].astype(np.float32)
    return RoleModel({name: row for row, name in enumerate(names)}, weights, chain[:5], chain[5], chain[6])


def role_probabilities(
    articles: Sequence[Article], spans: Sequence[Sequence[tuple[int, int]]], model: RoleModel | None = None
) -> list[Floats]:
    """Return, for each article, the probabilities of roles of its sentences, (sentences, 5); rows add up to 1.

    `spans` are those of all sentences in order (`search.retrieval.sentences.abstract_sentences`). A sentence of a
    section that says its role has 1 for it.
    """
    model = model or load_roles()
    with_text = [number for number, found in enumerate(spans) if found]
    scores, allowed = [], []
    for number in with_text:
        text = articles[number].abstract_text
        sentences = [text[start:end] for start, end in spans[number]]
        scores.append(feature_scores(sentences, model))
        allowed.append(allowed_roles(articles[number], spans[number]))
    result = [np.zeros((0, len(ROLES))) for _ in articles]
    for number, found in zip(with_text, marginals(scores, allowed, model), strict=True):
        result[number] = found
    return result


def feature_scores(sentences: Sequence[str], model: RoleModel) -> Floats:
    """Return the sum of the weights of each sentence's features, (sentences, 5)."""
    rows_by_sentence = [[model.rows[name] for name in names if name in model.rows] for names in features(sentences)]
    return np.array([model.weights[rows].sum(axis=0, dtype=np.float64) for rows in rows_by_sentence])


def features(sentences: Sequence[str]) -> list[set[str]]:
    """Return what the model knows of each sentence of an abstract: words, pairs, first and last words, place, length.

    Numbers are all one word, `#`. `^` marks a beginning, `$` an end, `<` and `>` the first word of the neighbours, `@`
    the place.
    """
    tokens = [["#" if token[0].isdigit() else token for token in _TOKEN.findall(text.lower())] for text in sentences]
    count = len(tokens)
    result = []
    for place, words in enumerate(tokens):
        names = set(words)
        names.update(f"{first} {second}" for first, second in zip(words, words[1:], strict=False))
        inner = [word for word in words if word not in "(;:"] or [""]
        names.update(f"^{' '.join(inner[:length])}" for length in (1, 2, 3))
        names.add(f"${' '.join(inner[-2:])}")
        part = (place + 0.5) / count
        names.update((f"@p{int(part * 10)}", f"@i{min(place, 5)}", f"@e{min(count - 1 - place, 5)}"))
        names.update((f"@n{min(count // 2, 10)}", f"@l{min(len(words) // 6, 8)}", f"@t{int(part * 4)}^{inner[0]}"))
        if place:
            names.add(f"<{(tokens[place - 1] or [''])[0]}")
        if place + 1 < count:
            names.add(f">{(tokens[place + 1] or [''])[0]}")
        result.append(names)
    return result


def allowed_roles(article: Article, spans: Sequence[tuple[int, int]]) -> Mask:
    """Return which roles each sentence may have, (sentences, 5): by its section, or by a label in the running text.

    A lone label in running text (of fewer than three) says what the first sentence behind it is for, and that those
    that follow are for that or for what comes later: `METHODS: ...` may end in results that no label announces.
    """
    text = article.abstract_text
    ends: list[int] = []
    roles = []
    offset = 0
    for section in article.abstract:
        if section.text:
            offset += len(section.text) + 1
            ends.append(offset)
            roles.append(roles_of_section(section))
    labels = [
        _printed_label(text[before:start])
        for before, (start, _) in zip([0, *(end for _, end in spans)], spans, strict=False)
    ]
    are_lone = sum(label is not None for label in labels) < _SECTIONED
    allowed = []
    number, printed = 0, None
    for (start, _), label in zip(spans, labels, strict=True):
        while start >= ends[number]:
            number, printed = number + 1, None
        printed = label or printed
        here = printed if printed is not None and roles[number] == ALL_ROLES else roles[number]
        allowed.append([role in here for role in ROLES])
        if printed is not None and are_lone:
            printed = frozenset(ROLES[min(map(ROLES.index, printed)) :])
    return np.array(allowed, dtype=bool).reshape(-1, len(ROLES))


def _printed_label(gap: str) -> frozenset[Role] | None:
    """Return the roles that the label between two sentences says."""
    label = _PRINTED_LABEL.search(_TAG.sub(" ", gap)) if len(gap) > 1 else None
    return roles_of_label(label[1]) if label is not None else None


def marginals(scores: Sequence[Floats], allowed: Sequence[Mask], model: RoleModel) -> list[Floats]:
    """Return the probabilities of roles in chains of sentences, (sentences, 5) each, by the forward-backward algorithm.

    `scores` are those of the features, (sentences, 5) for each chain.
    """
    if not scores:
        return []
    lengths = np.array([len(chain) for chain in scores])
    shape = (len(scores), int(lengths.max()), len(ROLES))
    emissions = np.zeros(shape)
    for row, (chain, mask) in enumerate(zip(scores, allowed, strict=True)):
        emissions[row, : len(chain)] = np.where(mask, chain, _RULED_OUT)
    inside = np.arange(shape[1]) < lengths[:, None]
    forward, backward = np.zeros(shape), np.zeros(shape)
    forward[:, 0] = model.start + emissions[:, 0]
    for place in range(1, shape[1]):
        step = _log_sum(forward[:, place - 1, :, None] + model.transitions, 1) + emissions[:, place]
        forward[:, place] = np.where(inside[:, place, None], step, forward[:, place - 1])
    backward[:, -1] = model.end
    for place in range(shape[1] - 2, -1, -1):
        ahead = (emissions[:, place + 1] + backward[:, place + 1])[:, None, :]
        backward[:, place] = np.where(inside[:, place + 1, None], _log_sum(model.transitions + ahead, 2), model.end)
    joint = forward + backward
    joint -= joint.max(axis=2, keepdims=True)
    probabilities = np.exp(joint)
    probabilities /= probabilities.sum(axis=2, keepdims=True)
    return [probabilities[row, :length] for row, length in enumerate(lengths.tolist())]


def _log_sum(values: Floats, axis: int) -> Floats:
    highest = values.max(axis=axis, keepdims=True)
    total: Floats = np.log(np.exp(values - highest).sum(axis=axis)) + highest.squeeze(axis)
    return total
