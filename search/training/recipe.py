"""Teach a small model the hybrid ranking of PubMed articles: what it learns from, and the whole run.

The data folder has `pubmed/records.jsonl.gz` (pmid, title, abstract, mesh), `medquad/pairs.jsonl.gz` (question, topic,
answer), `scifact/` in BEIR's layout and `pubmedqa/ori_pqal.json`. The last, and of SciFact all but three quarters of
its training claims and their abstracts, serve only to leave out of training what models are judged by. An index of the
same records holds the base's vectors. All draws come from fixed seeds.
"""

from __future__ import annotations

import gzip
import itertools
import json
import random
import re
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.errors import TrainingError
from search.models import Encoder
from search.retrieval.sentences import sentences_of
from search.storage.backend import open_reader
from search.training.bm25_matrix import BM25
from search.training.hybrid import Bank, HybridParameters, TeachingModel, TrainingQuestion, load_bert, teach
from search.training.saved_model import refuse_existing, save_model

__all__ = ["KINDS", "TrainingTexts", "draw_questions", "load_texts", "teach_hybrid", "neighbouring"]

#: The kinds of questions and the part of a batch that each has.
KINDS = {"lay": 0.25, "topic": 0.1, "mesh": 0.1, "title": 0.23, "sentence": 0.22, "claim": 0.1}

HELD_OUT_ARTICLES = 2500
HELD_OUT_TOPICS = 600
#: Near neighbours that stand together among the pairs, so that a batch has some that are hard to tell apart.
GROUP = 8
#: Pairs of a title and a conclusion, and of a consumer's question and its answer.
CONCLUSIONS, ANSWERS = 12_000, 2_400
#: A conclusion is the last sentences of an abstract that have so many words together, four sentences at most.
CONCLUSION_WORDS, CONCLUSION_SENTENCES = 25, 4
#: Words of an answer that are kept.
ANSWER_WORDS = 60

_LABEL = re.compile(
    r"^(?:[A-Z][A-Z &/,\'-]{3,40}|Conclusions?|Results|Methods|Background|Objectives?|Purpose|Aims?|"
    r"Interpretation|Findings):\s*"
)


@dataclass(frozen=True)
class Record:
    """An article for training: title, abstract and its sentences, MeSH headings."""

    pmid: int
    title: str
    abstract: str
    sentences: tuple[str, ...]
    mesh: tuple[str, ...]


@dataclass(frozen=True)
class Asked:
    """A consumer's question, what it is about, and its answer."""

    question: str
    topic: str
    answer: str


@dataclass(frozen=True)
class TrainingTexts:
    """What the model is trained on, with everything held out taken away; `claims` are (claim, row in `abstracts`)."""

    articles: tuple[Record, ...]
    questions: tuple[Asked, ...]
    claims: tuple[tuple[str, int], ...]
    abstracts: tuple[str, ...]


def teach_hybrid(
    data: Path,
    index: Path,
    base: Path,
    output: Path,
    *,
    teachers: Sequence[tuple[Path, Path]] = (),
    parameters: HybridParameters | None = None,
    resume: bool = False,
    progress: Callable[[int, dict[str, float]], None] | None = None,
) -> None:
    """Teach the model in the folder `base` and write the result to the folder `output` in float16.

    `index` is an index of the records, made with that base. `teachers` are other models whose cosines count as much in
    what is taught, each as its folder and an index of the records that it made. An article of which one of the indexes
    has no vector is left out. A run works in `<output>.partial/`; with `resume` one that
    was stopped continues from its last checkpoint. Raises TrainingError: data that is not there, an index of another
    model, an output or an unfinished run that is, no space.
    """
    work = _checked_work_folder(output, resume=resume)
    texts, models = _teaching(load_texts(data), [(base, index), *teachers])
    documents = [f"{record.title} {record.abstract}" for record in texts.articles] + list(texts.abstracts)
    bank = Bank(documents, BM25(documents), models)
    pairs = draw_pairs(texts, bank.vectors[: len(texts.articles)])

    def draw(chance: random.Random, count: int) -> list[TrainingQuestion]:
        return draw_questions(texts, chance, count)

    model, tokenizer = load_bert(base)
    parameters = parameters or HybridParameters()
    try:
        work.mkdir(parents=True, exist_ok=True)
        teach(model, tokenizer, bank, draw, pairs, parameters, progress, work / "checkpoint.pt")
        save_model(base, work / "model", model.state_dict())
    except OSError as error:
        raise TrainingError(f"training stopped: {error}; put that right and resume, {work} has the rest") from error
    (work / "model").replace(output)
    shutil.rmtree(work)


def _checked_work_folder(output: Path, *, resume: bool) -> Path:
    """Return the folder in which a run is to work; raises TrainingError where the output or another run is there."""
    work = output.with_name(f"{output.name}.partial")
    refuse_existing(output)
    if work.exists() and not resume:
        raise TrainingError(f"{work} holds an unfinished run; resume it, or remove the folder to start again")
    if resume and not work.exists():
        raise TrainingError(f"there is no run to resume at {work}; start without resume")
    return work


def load_texts(data: Path) -> TrainingTexts:
    """Read the training texts; raises TrainingError naming a file that is not there or cannot be read."""
    try:
        return TrainingTexts(_articles(data), _questions(data), *_claims(data))
    except (OSError, EOFError, ValueError, KeyError) as error:
        raise TrainingError(f"the training data in {data} cannot be read: {error}") from error


def draw_questions(texts: TrainingTexts, chance: random.Random, count: int) -> list[TrainingQuestion]:
    """Return so many different questions, kinds by their shares."""
    questions: dict[str, TrainingQuestion] = {}
    while len(questions) < count:
        (kind,) = chance.choices(list(KINDS), list(KINDS.values()))
        question = _question(texts, kind, chance)
        questions[question.text] = question
    return list(questions.values())


def _question(texts: TrainingTexts, kind: str, chance: random.Random) -> TrainingQuestion:
    if kind == "lay":
        text = _plain(chance.choice(texts.questions).question)
        # People type questions in small letters and without a mark, too.
        return TrainingQuestion(kind, text.lower().rstrip("?") if chance.random() < 0.3 else text)
    if kind == "topic":
        return TrainingQuestion(kind, chance.choice(texts.questions).topic)
    if kind == "claim":
        claim, row = chance.choice(texts.claims)
        return TrainingQuestion(kind, claim, answer=len(texts.articles) + row)
    row = chance.randrange(len(texts.articles))
    record = texts.articles[row]
    if kind == "mesh" and record.mesh:
        headings = chance.sample(record.mesh, min(len(record.mesh), chance.choice([1, 2, 2, 3])))
        return TrainingQuestion(kind, " ".join(heading.split(",")[0].lower() for heading in headings))
    if kind == "sentence":
        sentences = [_LABEL.sub("", sentence) for sentence in record.sentences[len(record.sentences) // 2 :]]
        fitting = [sentence for sentence in sentences if 7 <= len(sentence.split()) <= 45]
        if fitting:
            return TrainingQuestion(kind, chance.choice(fitting), own=row)
    return TrainingQuestion("title", record.title, own=row)


def draw_pairs(texts: TrainingTexts, vectors: NDArray[np.float32]) -> list[tuple[str, str]]:
    """Return titles with conclusions, near ones together, and then questions with answers, those of one topic apart.

    `vectors` are those of the articles.
    """
    articles = [texts.articles[row] for row in neighbouring(vectors, CONCLUSIONS)]
    questions = list(texts.questions)
    random.Random(13).shuffle(questions)
    by_topic: dict[str, list[Asked]] = defaultdict(list)
    for entry in questions:
        by_topic[entry.topic].append(entry)
    in_turn = [entry for round_ in itertools.zip_longest(*by_topic.values()) for entry in round_ if entry]
    answers = [(_plain(entry.question), " ".join(entry.answer.split()[:ANSWER_WORDS])) for entry in in_turn[:ANSWERS]]
    return [(record.title, conclusion(record.sentences)) for record in articles] + answers


def conclusion(sentences: Sequence[str]) -> str:
    """Return the last sentences that have `CONCLUSION_WORDS` together, without the labels of their sections."""
    chosen: list[str] = []
    for sentence in reversed(sentences[-CONCLUSION_SENTENCES:]):
        chosen.insert(0, _LABEL.sub("", sentence))
        if sum(len(text.split()) for text in chosen) >= CONCLUSION_WORDS:
            break
    return " ".join(chosen)


def _plain(question: str) -> str:
    """Return a question of MedQuAD's templates as people would write it."""
    return question.replace(" ?", "?").replace(" (are)", "").strip()


def neighbouring(vectors: NDArray[np.float32], count: int, seed: int = 11) -> list[int]:
    """Return rows in an order in which groups of `GROUP` near neighbours stand together; each row at most once."""
    chance = random.Random(seed)
    free = np.ones(len(vectors), dtype=bool)
    order: list[int] = []
    for first in chance.sample(range(len(vectors)), len(vectors)):
        if len(order) >= count:
            break
        if free[first]:
            cosines = vectors @ vectors[first]
            cosines[~free] = -1
            group = np.argsort(-cosines, kind="stable")[:GROUP]
            free[group] = False
            order.extend(group.tolist())
    return order


def _teaching(texts: TrainingTexts, sources: Sequence[tuple[Path, Path]]) -> tuple[TrainingTexts, list[TeachingModel]]:
    """Return the models of the (folder, index) given, and the texts without articles of which one has no vector."""
    encoders = [Encoder(folder) for folder, _ in sources]
    stored = [_stored(index, encoder, texts.articles) for encoder, (_, index) in zip(encoders, sources, strict=True)]
    kept = tuple(record for record in texts.articles if all(record.pmid in rows for rows in stored))
    if not kept:
        raise TrainingError(f"the indexes {', '.join(str(index) for _, index in sources)} have no vectors in common")
    texts = replace(texts, articles=kept)
    return texts, [_teaching_model(encoder, rows, texts) for encoder, rows in zip(encoders, stored, strict=True)]


def _teaching_model(encoder: Encoder, stored: Mapping[int, NDArray[np.float32]], texts: TrainingTexts) -> TeachingModel:
    """Return a model with its vectors of the articles, as stored, and of the claims' abstracts."""

    def encode(asked: Sequence[str]) -> NDArray[np.float32]:
        return encoder.encode(list(asked), "query")

    articles = np.stack([stored[record.pmid] for record in texts.articles])
    return TeachingModel(encode, np.concatenate([articles, encoder.encode(list(texts.abstracts))]))


def _stored(index: Path, encoder: Encoder, articles: Sequence[Record]) -> dict[int, NDArray[np.float32]]:
    """Return the vectors that an index has of articles, by PMID; raises TrainingError if another model made it."""
    reader = open_reader(index)
    try:
        with reader.view() as view:
            if view.manifest.fingerprint != encoder.fingerprint:
                raise TrainingError(f"{index} was made with the model {view.manifest.model}, not with {encoder.name}")
            pmids, rows = view.store.vectors([record.pmid for record in articles])
    finally:
        reader.close()
    return dict(zip(pmids.tolist(), rows, strict=True))


def _normal(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", " ", text.lower()).strip()


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as stream:
        for line in stream:
            yield json.loads(line)


def _articles(data: Path) -> tuple[Record, ...]:
    judged = json.loads((data / "pubmedqa" / "ori_pqal.json").read_text(encoding="utf-8"))
    pmids = {int(pmid) for pmid in judged}
    titles = {_normal(row["QUESTION"]) for row in judged.values()}
    titles |= {_normal(row["title"]) for row in _lines(data / "scifact" / "corpus.jsonl")}
    seen: set[str] = set()
    records: list[Record] = []
    for row in _lines(data / "pubmed" / "records.jsonl.gz"):
        title = _normal(row["title"])
        sentences = sentences_of(row["abstract"])
        short = len(sentences) < 3 or len(row["abstract"].split()) < 50 or len(title.split()) < 4
        # Titles that ask are held out too: with their conclusions they are most like what PubMed QA holds.
        asks = row["title"].rstrip(" ]").endswith("?")
        if row["pmid"] in pmids or title in titles or short or asks or title in seen:
            continue
        seen.add(title)
        shown = row["title"].strip().strip("[]") if row["title"].startswith("[") else row["title"].strip()
        records.append(Record(row["pmid"], shown, row["abstract"], tuple(sentences), tuple(row.get("mesh") or ())))
    random.Random(7).shuffle(records)
    return tuple(records[HELD_OUT_ARTICLES:])


def _questions(data: Path) -> tuple[Asked, ...]:
    rows = [
        Asked(row["question"], row["topic"], row["answer"])
        for row in _lines(data / "medquad" / "pairs.jsonl.gz")
        if row["topic"]
    ]
    topics = sorted({row.topic for row in rows})
    random.Random(3).shuffle(topics)
    held_out = set(topics[:HELD_OUT_TOPICS])
    return tuple(row for row in dict.fromkeys(rows) if row.topic not in held_out)


def _claims(data: Path) -> tuple[tuple[tuple[str, int], ...], tuple[str, ...]]:
    """Return three quarters of SciFact's training claims; no abstract that another claim is judged by is among them."""
    folder = data / "scifact"
    questions = {row["_id"]: row["text"] for row in _lines(folder / "queries.jsonl")}
    corpus = {row["_id"]: f"{row['title']} {row['text']}" for row in _lines(folder / "corpus.jsonl")}
    documents: dict[str, list[str]] = defaultdict(list)
    for query, document in _qrels(folder / "qrels" / "train.tsv"):
        documents[query].append(document)
    held_out = {query for query, relevant in documents.items() if int(relevant[0]) % 4 == 0}
    judged = {document for query in held_out for document in documents[query]}
    judged |= {document for _, document in _qrels(folder / "qrels" / "dev.tsv")}
    claims = [
        (questions[query], relevant[0])
        for query, relevant in documents.items()
        if query not in held_out and relevant[0] not in judged
    ]
    used = sorted({document for _, document in claims})
    row_of = {document: row for row, document in enumerate(used)}
    return tuple((claim, row_of[document]) for claim, document in claims), tuple(corpus[document] for document in used)


def _qrels(path: Path) -> list[tuple[str, str]]:
    rows = [line.split() for line in path.read_text(encoding="utf-8").splitlines()[1:]]
    return [(query, document) for query, document, _ in rows]
