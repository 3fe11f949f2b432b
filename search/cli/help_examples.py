"""Two examples for the help of each command; the tests check that each of them is one."""

from __future__ import annotations

__all__ = ["EXAMPLES"]

EXAMPLES: dict[str, tuple[str, ...]] = {
    "query": (
        'search "does aspirin prevent bowel cancer?" --date 2010: --evidence 1',
        'search query "statins and stroke" --mode hybrid --type review --json',
    ),
    "ask": (
        'search ask "does aspirin prevent bowel cancer?"',
        'search ask "do statins prevent stroke?" --type "Meta-Analysis"',
    ),
    "table": (
        'search table "aspirin and bowel cancer"',
        'search table "statins and stroke" --date 2010:',
    ),
    "similar": (
        "search similar 29768149 -n 5",
        "search similar abstract.txt --not 29768149",
    ),
    "facets": (
        'search facets "heart failure" --depth 500',
        'search facets "heart failure" --json',
    ),
    "cited-by": ("search cited-by 29768149", "search cited-by 29768149 -n 500 --json"),
    "references": ("search references 29768149", "search references 29768149 --json"),
    "snowball": ("search snowball 29768149 17170002 --rounds 2", "search snowball aspirin -n 100 --json"),
    "citations": ("search citations add open_citation_collection.csv", "search citations remove"),
    "citations add": (
        "search citations add open_citation_collection.csv",
        "search citations add open_citation_collection.csv.gz --reread",
    ),
    "citations remove": ("search citations remove", "search citations remove --index indexes/demo --json"),
    "retractions": (
        "search retractions add retraction_watch.csv",
        "search retractions add retraction_watch.csv --json",
    ),
    "retractions add": (
        "search retractions add retraction_watch.csv",
        "search retractions add retraction_watch.csv --json",
    ),
    "strategy": (
        "search strategy 'statins[tiab] AND (stroke[mh] OR stroke[tiab])'",
        "search strategy @asthma.txt --format report",
    ),
    "show": ("search show 29768149", "search show 29768149 --json"),
    "open": ("search open 29768149", "search open 29768149 --full-text"),
    "saved": ("search saved", "search saved aspirin --json"),
    "new": ("search new aspirin", "search new aspirin --format csv"),
    "report": ("search report aspirin", "search report aspirin --with embase.ris --with scopus.csv"),
    "check": ("search check references.bib", "search check references.ris --strict --json"),
    "dedupe": ("search dedupe embase.ris scopus.csv -o to-screen.ris", "search dedupe *.ris --json"),
    "export": (
        'search export --query "statins and stroke" --format ris -o statins.ris',
        "search export --pmids pmids.txt --format bibtex",
    ),
    "add": (
        "search add records.jsonl.gz exports/",
        'search add --pubmed "asthma[majr] AND 2020:2026[dp]" --limit 5000',
    ),
    "sync": ("search sync --dry-run --since 2015", 'search sync --since 2015 --mesh "Asthma"'),
    "encode": ("search encode", "search encode --ray auto"),
    "import-vectors": (
        "search import-vectors embeddings/ --model medcpt",
        "search import-vectors vectors.npy --pmids pmids.json --model builtin",
    ),
    "delete": ("search delete 29768149", "search delete 29768149 11073508"),
    "status": ("search status", "search status --json"),
    "config": ("search config", "search config --json"),
    "merge": ("search merge", "search merge --index indexes/demo"),
    "verify": ("search verify", "search verify --json"),
    "repair": ("search repair", "search repair --index indexes/demo"),
    "copy": (
        "search copy indexes/pubmed postgresql://me@localhost/pubmed",
        "search copy postgresql://me@localhost/pubmed indexes/back",
    ),
    "completion": ("search completion bash", "search completion zsh"),
    "serve": ("search serve --open", "search serve --port 9000 --index indexes/demo"),
    "mcp": ("search mcp", "search mcp --http --port 8090"),
    "token": ("search token", "search token --json"),
    "mesh": ("search mesh update", 'search mesh show "myocardial infarction"'),
    "mesh add": ("search mesh add desc2026.xml supp2026.xml", "search mesh add d2026.bin --json"),
    "mesh update": ("search mesh update", "search mesh update --json"),
    "mesh show": ('search mesh show "myocardial infarction"', "search mesh show heart attack --json"),
    "models": ("search models", "search models download pubmedbert"),
    "models download": (
        "search models download pubmedbert",
        'search models download "{name: my-org/my-model, pooling: cls}"',
    ),
    "train": (
        "search train pairs -o pairs.jsonl.gz",
        "search train model --pairs pairs.jsonl.gz --base minilm -o mine",
    ),
    "train pairs": (
        "search train pairs -o pairs.jsonl.gz",
        "search train pairs -o pairs.jsonl.gz --sample 10,000 --kinds title-abstract",
    ),
    "train model": (
        "search train model --pairs pairs.jsonl.gz --base minilm -o mine",
        "search train model --pairs pairs.jsonl.gz --base minilm -o mine --resume",
    ),
    "train hybrid": (
        "search train hybrid --data texts/ --index indexes/pubmed -o taught",
        "search train hybrid --data texts/ --index my -o taught --set steps=400",
    ),
    "train mix": (
        "search train mix mine --share 0.5 -o mixed",
        "search train mix mine --base builtin --share 0.7 -o mixed",
    ),
    "train roles": (
        "search train roles corpus.jsonl -o roles/",
        "search train roles ori_pqal.json corpus.jsonl -o roles/ --json",
    ),
    "evaluate": (
        "search evaluate pairs ori_pqal.json",
        "search evaluate retrieval --collection scifact/ --mode hybrid",
    ),
    "evaluate pairs": (
        "search evaluate pairs ori_pqal.json",
        "search evaluate pairs --model builtin --model pubmedbert --format markdown",
    ),
    "evaluate retrieval": (
        "search evaluate retrieval --collection scifact/ --mode hybrid",
        "search evaluate retrieval --collection scifact/ --compare builtin minilm",
    ),
}
