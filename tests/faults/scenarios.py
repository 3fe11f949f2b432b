"""What is done to an index while it is disturbed: each scenario prepares a folder and is one command of `search`."""

import contextlib
import functools
import json
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from helpers import WordEncoder, tokens_of
from nlm_server import NlmServer, article_xml, packed, xml_set

__all__ = [
    "SCENARIOS",
    "Scenario",
    "Surroundings",
    "command",
    "held",
    "patch",
    "surroundings",
]

#: Articles that are encoded and committed together: few, so that a command is many transactions.
_BATCH = 5


@dataclass(frozen=True)
class Surroundings:
    """What lies beside an index: files to add, NLM's folders, and a server that plays NLM."""

    folder: Path
    url: str


@dataclass(frozen=True)
class Scenario:
    """`prepare` is a list of commands that make the index, `arguments` the command that is disturbed.

    In a command `{index}` is the index, `{beside}` the folder that it is in, where what is kept for the installation is
    too, and `{file}` stands for the folder of the surroundings. `merge_at` makes merges
    due after so many changes, `small` is up to how many vectors segments are made one at once, `exact` how many Faiss
    compares one by one. `first_stage` has static vectors made from the model's tokens, and fitted in the middle of
    encoding. `is_answer` says that the command answers, whether or not what it made on the way can be kept.
    """

    name: str
    prepare: tuple[str, ...]
    arguments: str
    merge_at: int = 5000
    small: int = 20_000
    exact: int = 50_000
    is_answer: bool = False
    first_stage: bool = False


_BASE = ("add {file}/first.jsonl --index {index} --model words", "merge --index {index}")
_CHANGED = (*_BASE, "add {file}/second.xml --index {index}", "delete 4 9 --index {index}")

_SAVE = "query first1 --save kept --mode lexical --index {index}"

_SYNC = "sync --from {file}"

SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("create", (), "add {file}/first.jsonl --index {index} --model words"),
        Scenario("first-stage", (), "add {file}/first.jsonl --index {index} --model words", first_stage=True),
        Scenario("add", _BASE, "add {file}/second.xml --index {index}"),
        Scenario("add-merging", _BASE, "add {file}/second.xml --index {index}", merge_at=5),
        Scenario("add-segments", _BASE, "add {file}/second.xml --index {index}", merge_at=5, small=0),
        Scenario("delete", _CHANGED, "delete 2 3 25 --index {index}", merge_at=5),
        Scenario("merge", _CHANGED, "merge --index {index}"),
        Scenario("merge-cells", _CHANGED, "merge --index {index}", exact=10),
        Scenario("repair", _CHANGED, "repair --index {index}"),
        Scenario("encode", (*_BASE, "add {file}/second.xml --no-encode --index {index}"), "encode --index {index}", 5),
        Scenario("query", (*_BASE, "add {file}/second.xml --no-encode --index {index}"), "query heart --index {index}",
                 is_answer=True),
        Scenario(
            "import",
            (*_BASE, "add {file}/second.xml --no-encode --index {index}"),
            "import-vectors {file}/vectors.npy --pmids {file}/pmids.json --model words --index {index}",
            merge_at=5,
        ),
        Scenario("sync", _BASE, "sync --config {file}/config.yml --index {index}", merge_at=12, small=0),
        Scenario("sync-year", (*_BASE, f"{_SYNC}/old --index {{index}}"), f"{_SYNC}/new --index {{index}}"),
        Scenario("pubmed", _BASE, "add --pubmed aspirin --config {file}/config.yml --index {index}"),
        Scenario("citations", _CHANGED, "citations add {file}/citations.csv --all --index {index}"),
        Scenario("retractions", _CHANGED, "retractions add {file}/retractions.csv --index {index}"),
        Scenario("mesh", _BASE, "mesh add {file}/mesh.bin"),
        Scenario("save", (*_BASE, _SAVE), "query first3 --save kept --replace --index {index}"),
        Scenario("new", (*_BASE, _SAVE, _SAVE.replace("kept", "other"), "add {file}/second.xml --index {index}"),
                 "new --all --index {index}"),
        Scenario("dedupe", (*_BASE, "dedupe {file}/two.ris -o {beside}/left.ris"),
                 "dedupe {file}/one.ris {file}/two.ris -o {beside}/left.ris"),
        Scenario("export", (*_BASE, "export --all --format ris -o {beside}/all.ris --index {index}", *_CHANGED[2:]),
                 "export --all --format ris -o {beside}/all.ris --index {index}"),
    )
}  # fmt: skip


def _title(pmid, version="first"):
    return f"{version}{pmid} of {version}kind{pmid} in common"


def write_surroundings(folder, url):
    """Write the files that scenarios read."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "first.jsonl").write_text(
        "".join(
            json.dumps({"pmid": pmid, "title": _title(pmid), "mesh": [f"Heading {pmid % 3}"]}) + "\n"
            for pmid in range(1, 21)
        )
    )
    revised = [article_xml(pmid, _title(pmid, "second"), revised="2025-02-01", cites=(2, 77)) for pmid in (1, 5, 9)]
    new = [article_xml(pmid, _title(pmid), mesh=("Heading 1", "New"), cites=(1, pmid - 1)) for pmid in range(21, 27)]
    (folder / "second.xml").write_bytes(xml_set(*revised, *new, deleted=[6, 22, 99]))
    titles = {**{pmid: _title(pmid, "second") for pmid in (1, 5, 9)}, **{pmid: _title(pmid) for pmid in range(21, 27)}}
    np.save(folder / "vectors.npy", WordEncoder().encode(list(titles.values())))
    (folder / "pmids.json").write_text(json.dumps(list(titles)))
    for name, year, pmids in (("old", 25, range(31, 38)), ("new", 26, range(33, 40))):
        for place, number, content in (
            ("baseline", 1, packed(*[article_xml(pmid, _title(pmid)) for pmid in pmids])),
            ("updatefiles", 2, packed(article_xml(35, _title(35, name), revised=f"20{year}-02-01"), deleted=[36])),
        ):
            (folder / name / place).mkdir(parents=True, exist_ok=True)
            (folder / name / place / f"pubmed{year}n{number:04d}.xml.gz").write_bytes(content)
    (folder / "citations.csv").write_text(
        "citing,referenced\n" + "".join(f"{pmid},{pmid % 7 + 1}\n{pmid},{pmid + 70}\n" for pmid in range(1, 40))
    )
    columns = "RetractionDate,RetractionDOI,RetractionPubMedID,OriginalPaperDOI,OriginalPaperPubMedID,RetractionNature"
    (folder / "retractions.csv").write_text(
        f"{columns},Reason\n" + "".join(f"2/1/2023 0:00,,0,,{pmid},Retraction,+Why;\n" for pmid in (3, 5, 21, 80))
    )
    heading = "*NEWRECORD\nMH = Heading {0}\nENTRY = Name {0}|T047\nMN = C14.{0}\nUI = D00000{0}\n"
    (folder / "mesh.bin").write_text("".join(heading.format(number) for number in range(1, 8)))
    for name, pmids in (("one", range(1, 30)), ("two", range(20, 50))):
        references = "".join(f"TY  - JOUR\nTI  - {_title(pmid)}\nAN  - {pmid}\nER  - \n" for pmid in pmids)
        (folder / f"{name}.ris").write_text(references)
    (folder / "config.yml").write_text(
        f"model: words\nnlm:\n  url: {url}\neutils:\n  url: {url}\n  email: nobody@example.org\n"
    )


@contextlib.contextmanager
def surroundings(folder):
    """Write the surroundings and have a process play NLM for as long as it takes."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        server = NlmServer()
        server.put(26, 1, packed(*[article_xml(pmid, _title(pmid)) for pmid in range(51, 57)]))
        revised = article_xml(52, _title(52, "second"), revised="2026-02-01")
        server.put(26, 2, packed(revised, article_xml(58, _title(58)), deleted=[53, 7]), "updatefiles")
        server.records = {pmid: (article_xml(pmid, _title(pmid)), "2001/01/01") for pmid in range(61, 67)}
        os.write(writing, server.url.encode())
        signal.pause()
    try:
        url = os.read(reading, 100).decode()
        write_surroundings(Path(folder), url)
        yield Surroundings(Path(folder), url)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(reading)
        os.close(writing)


def command(scenario, line, index, around, report=None, *, states=False) -> Callable[..., int]:
    """Return a function that runs a command of `search` and returns its exit code.

    It reports the number of every change once it is committed, as `commit 7`; with `states` also what the store holds
    then, as `state {...}`.
    """
    arguments = [word.format(index=index, file=around.folder, beside=index.parent) for word in line.split()]

    def run(report=report):
        import sys

        os.environ["SEARCH_CACHE"] = str(index.parent / "cache")
        patch(scenario, report, states=states)
        from search.cli import main as command_line

        sys.argv = ["search", *arguments]
        try:
            command_line.main()
        except SystemExit as stopped:
            return stopped.code if isinstance(stopped.code, int) else 0
        return 0

    return run


def patch(scenario, report=None, *, states=False):
    """Set up a process that is forked for one command; nothing is set back."""
    import search.api
    from search.ingest import pipeline as ingest
    from search.ingest import static_models
    from search.pubmed import eutils
    from search.storage.folder import faiss_index as ann
    from search.storage.folder import folder_writer as writer
    from search.storage.folder import segments

    encoder = WordEncoder()
    if scenario.first_stage:
        encoder.tokens = tokens_of(f"first{kind}{pmid}" for kind in ("", "kind") for pmid in range(1, 21))
        static_models.FEWEST, static_models.FITTED_FROM = 5, 10
    search.api._load_encoder = lambda model, config, **_: encoder
    ingest.BATCH = _BATCH
    writer._MERGE_AT, segments._SMALL = scenario.merge_at, scenario.small
    ann.EXACT_UP_TO = scenario.exact
    eutils.Eutils = functools.partial(eutils.Eutils, interval=0.0)
    if report:
        _report_commits(report, states)


def _report_commits(report, states):
    from search.storage.folder.sqlite_writer import StoreWriter

    transact = StoreWriter.transact

    def reporting(self, work):
        result = transact(self, work)
        change = self.change()
        if states:
            report("state " + json.dumps([change, held(self)]))
        report(f"commit {change}")
        return result

    StoreWriter.transact = reporting


def held(store):
    """What a store holds: titles by PMID, and whether there is a vector of that title."""
    encoded = set(store.vector_pmids().tolist()) - {article.pmid for article in store.stale(1000)}
    return {article.pmid: [article.title, article.pmid in encoded] for article in store.articles()}
