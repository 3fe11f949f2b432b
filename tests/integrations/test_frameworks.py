"""The examples of docs/integrations.md, run as they are, each in a process of its own."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from small_llm import save_llm

from search import Index

PAGE = Path(__file__).parents[2] / "docs" / "integrations.md"
ASPIRIN = "does aspirin lower the risk of bowel cancer?"
ANSWER = "Aspirin lowers it."

#: How the documents of each framework are read: id, text, score where it has one, metadata.
READ = {
    "LangChain": "[(d.id, d.page_content, d.metadata['score'], d.metadata) for d in documents]",
    "LlamaIndex": "[(d.node.node_id, d.node.text, d.score, d.node.metadata) for d in documents]",
    "Haystack": "[(d.id, d.content, d.score, d.meta) for d in documents]",
}
PACKAGES = {"LangChain": "langchain_core", "LlamaIndex": "llama_index.core", "Haystack": "haystack"}


def example(heading: str) -> str:
    """The Python of a section of the page."""
    section = PAGE.read_text().split(f"\n## {heading}\n", 1)[1]
    return re.search(r"```python\n(.*?)```", section, re.DOTALL)[1]


def run(program: str, folder: Path) -> str:
    environment = {**os.environ, "HAYSTACK_TELEMETRY_ENABLED": "False", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-W", "ignore", "-c", program]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture
def with_demo(built_demo, tmp_path):
    """A folder with the demo index where the page has it."""
    (tmp_path / "indexes").mkdir()
    (tmp_path / "indexes" / "demo").symlink_to(built_demo)
    return tmp_path


@pytest.mark.parametrize("name", READ)
def test_the_retriever_of(name, with_demo, built_demo):
    try:
        found = importlib.util.find_spec(PACKAGES[name])
    except ModuleNotFoundError:
        found = None
    if found is None:
        pytest.skip(f"the package {PACKAGES[name]} is not installed")
    assert len([line for line in example(name).splitlines() if line.strip()]) <= 20
    printed = run(f"{example(name)}\nimport json\nprint(json.dumps({READ[name]}))", with_demo)
    documents = json.loads(printed.splitlines()[-1])
    with Index.open(built_demo) as index:
        hits = index.batchsearch([ASPIRIN], 4)[0]
    assert [(pmid, text, score) for pmid, text, score, _ in documents] == [
        (str(hit["id"]), hit["text"], hit["score"]) for hit in hits
    ]
    for (*_, metadata), hit in zip(documents, hits, strict=True):
        assert {key: metadata[key] for key in ("pmid", "url", "retracted", "authors")} == {
            key: hit[key] for key in ("pmid", "url", "retracted", "authors")
        }


def test_the_rag_of_txtai(with_demo, built_demo, tmp_path):
    llm = save_llm(tmp_path / "llm", ANSWER)
    printed = run(f"llm = {str(llm)!r}\n{example('txtai')}", with_demo)
    with Index.open(built_demo) as index:
        pmids = [hit.pmid for hit in index.search(ASPIRIN, 3)]
    answer, _, pmid = printed.strip().splitlines()[-1].rpartition(" ")
    assert answer == ANSWER and int(pmid) in pmids
