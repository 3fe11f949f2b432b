"""A researcher's question: the best articles, what they found, more like the best one, and a file for Zotero.

python examples/researcher.py indexes/demo
"""

import sys
from pathlib import Path

from search import Filters, Index
from search.formats.export import write

QUESTION = "does aspirin lower the risk of bowel cancer?"

with Index.open(sys.argv[1]) as index:
    # %% The best articles since 2000, each with the sentence that says what was found
    hits = index.search(QUESTION, 5, mode="hybrid", filters=Filters(year_from=2000), evidence=1)
    for hit in hits:
        print(f"{hit.rank}. {hit.article.title} ({hit.article.year}, PMID {hit.pmid})")
        for sentence in hit.evidence:
            print(f"   {sentence.role}: {sentence.text}")

    # %% What they found, quoted in groups that agree
    for group in index.ask(QUESTION, 5).groups:
        print(" / ".join(f"{finding.design}, {finding.year}: {finding.text}" for finding in group))

    # %% More like the best one
    for hit in index.similar([hits[0].pmid], 3):
        print(f"like it: {hit.article.title}")

    # %% A file that Zotero, EndNote and Mendeley read
    output = Path("aspirin.ris")
    with output.open("w", encoding="utf-8", newline="") as stream:
        print(write((hit.article for hit in hits), stream, "ris"), "articles in", output)
