"""A librarian's work on a review: a strategy with its counts, its exact set, a saved search and its report.

python examples/librarian.py indexes/demo

The index keeps the saved search `salt`; running this again adds a run to it.
"""

import sys

from search import Filters, Index

STRATEGY = """hypertens*[tiab] OR blood pressure[tiab]
salt[tiab] OR sodium[tiab]
#1 AND #2"""

with Index.open(sys.argv[1]) as index:
    # %% The strategy, line by line, with exact counts
    result = index.strategy(STRATEGY)
    for line in result.lines:
        print(f"#{line.number}  {line.count:>5,}  {line.text}")

    # %% Its set, ranked by a question; every article of the set is there
    hits = index.search("does eating less salt lower blood pressure?", result.count, strategy=STRATEGY, fold=False)
    assert {hit.pmid for hit in hits} == set(result.pmids)
    for hit in hits[:3]:
        print(f"{hit.score:.2f}  {hit.article.title}")

    # %% Save the search, see what is new since, and write what the methods section needs
    if "salt" not in {saved.name for saved in index.saved_searches()}:
        chosen = Filters(strategy=STRATEGY)
        index.save_search("salt", "does eating less salt lower blood pressure?", 50, filters=chosen)
    print(len(index.new_results("salt")), "new")
    print(index.saved_report("salt").partition("## PRISMA-S items")[0])
