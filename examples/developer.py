"""A developer's source for retrieval-augmented generation: sources within a budget of tokens, each with its citation.

python examples/developer.py indexes/demo
"""

import sys

from search import Index

QUESTION = "does aspirin lower the risk of bowel cancer?"

with Index.open(sys.argv[1]) as index:
    # %% Sources that fit into 400 tokens: the sentences that say what was found, with citations to number
    context = index.context(QUESTION, 400, sentences=2)
    prompt = f"Answer from these sources alone and cite them as [1], [2].\n\n{context.text}\n\nQuestion: {QUESTION}"
    print(prompt)

    # %% Nothing near enough: better to say so than to ask a language model
    hits = index.search("the best recipe for chocolate cake", 5)
    print("nothing near enough" if not any(hit.near_enough for hit in hits) else "found something")

    # %% Many questions at once are encoded together
    for question, (best, *_) in zip(
        ("inhaled steroids in asthma", "hearing aids and dementia"),
        index.search(["inhaled steroids in asthma", "hearing aids and dementia"], 1),
        strict=True,
    ):
        print(f"{question}: PMID {best.pmid}")
