"""Run in a process of its own: the three usages of the reference model's card and an index, in every order.

    python card_usages.py FOLDER

The hub's cache is emptied before each order. At its place in the order, and again at the end, the index that was made
at the very first is opened and asked; the answers must stay the same. Prints the number of orders and the lowest
cosine of each usage's vectors to ours.
"""

import itertools
import os
import shutil
import sys
import warnings
from pathlib import Path

import numpy as np

warnings.simplefilter("ignore")

# The usages, as the card has them.
USAGES = {
    "txtai": """
import txtai

embeddings = txtai.Embeddings(path="neuml/pubmedbert-base-embeddings", content=True)
embeddings.index(documents())

# Run a query
results = embeddings.search("query to run")
""",
    "sentence-transformers": """
from sentence_transformers import SentenceTransformer
sentences = ["This is an example sentence", "Each sentence is converted"]

model = SentenceTransformer("neuml/pubmedbert-base-embeddings")
embeddings = model.encode(sentences)
""",
    "transformers": """
from transformers import AutoTokenizer, AutoModel
import torch

# Mean Pooling - Take attention mask into account for correct averaging
def meanpooling(output, mask):
    embeddings = output[0] # First element of model_output contains all token embeddings
    mask = mask.unsqueeze(-1).expand(embeddings.size()).float()
    return torch.sum(embeddings * mask, 1) / torch.clamp(mask.sum(1), min=1e-9)

# Sentences we want sentence embeddings for
sentences = ['This is an example sentence', 'Each sentence is converted']

# Load model from HuggingFace Hub
tokenizer = AutoTokenizer.from_pretrained("neuml/pubmedbert-base-embeddings")
model = AutoModel.from_pretrained("neuml/pubmedbert-base-embeddings")

# Tokenize sentences
inputs = tokenizer(sentences, padding=True, truncation=True, max_length=512, return_tensors='pt')

# Compute token embeddings
with torch.no_grad():
    output = model(**inputs)

# Perform pooling. In this case, mean pooling.
embeddings = meanpooling(output, inputs['attention_mask'])
""",
}
SENTENCES = ["This is an example sentence", "Each sentence is converted"]


def ask(folder: Path) -> list[tuple[int, float]]:
    """The answers of the index, made if it is not there."""
    from search import Index
    from search.article import Article

    if not folder.exists():
        with Index.create(folder, model="pubmedbert") as index:
            index.add([Article(pmid=row, title=text) for row, text in enumerate(SENTENCES, 1)])
    with Index.open(folder) as index:
        return [(hit.pmid, hit.score) for hit in index.search("query to run", feedback=False)]


def vectors_of(usage: str) -> np.ndarray:
    """Run a usage and return its vectors of the sentences."""
    names = {"documents": lambda: [(row, text, None) for row, text in enumerate(SENTENCES)]}
    exec(USAGES[usage], names)
    found = names["embeddings"]
    if usage == "txtai":
        assert {row["text"] for row in names["results"]} <= set(SENTENCES)
        found = found.batchtransform(SENTENCES, "data")
    vectors = np.asarray(found)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def main(folder: Path) -> None:
    from search.models import Encoder

    cache, index = Path(os.environ["HF_HUB_CACHE"]), folder / "index"
    expected, ours, lowest = None, None, dict.fromkeys(USAGES, 1.0)
    orders = list(itertools.permutations([*USAGES, "index"]))
    for order in orders:
        shutil.rmtree(cache, ignore_errors=True)
        found = {}
        for step in order:
            if step == "index":
                answers = ask(index)
                expected = expected or answers
                assert answers == expected, order
            else:
                found[step] = vectors_of(step)
        assert ask(index) == expected, order
        ours = Encoder("pubmedbert").encode(SENTENCES) if ours is None else ours
        for usage, vectors in found.items():
            lowest[usage] = min(lowest[usage], float((vectors * ours).sum(axis=1).min()))
    sys.stdout.write(" ".join([str(len(orders)), *(f"{usage}={cosine:.7f}" for usage, cosine in lowest.items())]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
