"""Fit static vectors to the model's own vectors of an index's articles, and write them as a folder to ship."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

import numpy as np

from search import Index
from search.article import embedding_text
from search.models.static_vectors import STATIC_FILE, fit


def main() -> None:
    """Fit, leaving out the articles of the collections that models are judged by."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--index", required=True, help="an index whose articles are encoded")
    parser.add_argument("--data", type=Path, required=True, help="the folder with scifact/ and pubmedqa/")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    left_out = held_out_titles(options.data)
    with Index.open(options.index) as index:
        encoder = index.encoder
        articles = {article.pmid: article for article in index.articles() if _key(article.title) not in left_out}
        with index._reader.view() as view:
            pmids, vectors = view.store.vectors(articles)
        tokens = encoder.tokens
        start = encoder.encode(list(tokens.texts_of(range(tokens.vocabulary))))
        static = fit(tokens, start, [embedding_text(articles[pmid]) for pmid in pmids.tolist()], vectors)
    options.output.mkdir(parents=True, exist_ok=True)
    static.write(options.output / STATIC_FILE)
    print(f"{len(pmids):,} texts, {np.prod(start.shape):,} numbers at the start")


def held_out_titles(data: Path) -> set[str]:
    """Return the keys of the titles of SciFact's collection and of the questions of PubMed QA."""
    lines = (data / "scifact" / "corpus.jsonl").read_text().splitlines()
    titles = [json.loads(line)["title"] for line in lines]
    titles += [entry["QUESTION"] for entry in json.loads((data / "pubmedqa" / "ori_pqal.json").read_text()).values()]
    return {_key(title) for title in titles if title}


def _key(title: str) -> str:
    return re.sub(r"\W+", "", title.lower())


if __name__ == "__main__":
    main()
