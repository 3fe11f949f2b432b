"""An index is brought to NLM's state, whole or in part, whatever comes in between."""

import itertools
import shutil
import signal
import time

import pytest
from click.testing import CliRunner
from helpers import article
from nlm_server import NlmServer, article_xml, packed
from syncing import QUICK, TextEncoder, articles, downloads_of, make_index, start_process, store_state, sync

from search.api import Index
from search.config import config_from_dict
from search.errors import ConfigError, IndexFolderError, QueryError, SourceError
from search.ingest import pipeline as ingest
from search.pubmed.add_query import add_query
from search.pubmed.eutils import Eutils
from search.pubmed.origin import preview
from search.pubmed.subset import Part, chosen_part, make_part
from search.retrieval.filters import Filters, MeshTerm, Not, Term
from search.retrieval.mesh_tree import MeshTree
from search.storage import backend


@pytest.fixture
def server():
    """A baseline of two files and two updates: a revision, a deletion, and one that comes back."""
    server = NlmServer()
    server.put(25, 1, packed(*[article_xml(pmid, f"first {pmid}") for pmid in range(1, 11)]))
    server.put(25, 2, packed(*[article_xml(pmid, f"first {pmid}") for pmid in range(11, 21)]))
    revised = [article_xml(3, "second 3", revised="2025-02-01"), article_xml(21, "new 21", revised="2025-02-01")]
    server.put(25, 3, packed(*revised, deleted=[5, 6]), "updatefiles")
    server.put(25, 4, packed(article_xml(6, "again 6", revised="2025-02-02"), deleted=[21, 77]), "updatefiles")
    yield server
    server.close()


@pytest.fixture
def folder(new_index, encoder):
    """The address of an index: each test that has it runs on a folder, and again on PostgreSQL."""
    found = make_index(new_index(), encoder)
    yield found
    shutil.rmtree(downloads_of(found), ignore_errors=True)


@pytest.fixture
def encoder():
    return TextEncoder()


FINAL = {
    **{pmid: f"first {pmid}" for pmid in range(1, 21) if pmid not in (3, 5, 6)},
    3: "second 3",
    6: "again 6",
}


def test_an_index_comes_to_nlms_state_and_stays_there(server, folder, encoder):
    report = sync(folder, server.url, encoder)
    assert articles(folder) == FINAL
    assert [(entry.name[:12], entry.records, entry.deletions) for entry in report.applied] == [
        ("pubmed25n000", 10, 0),
        ("pubmed25n000", 10, 0),
        ("pubmed25n000", 2, 2),
        ("pubmed25n000", 1, 2),
    ]
    assert list((downloads_of(folder)).iterdir()) == []
    asked, encoded = len(server.requests), len(encoder.encoded)
    assert sync(folder, server.url, encoder).applied == []
    assert [path for path, _, _ in server.requests[asked:]] == ["baseline/", "updatefiles/"]
    assert len(encoder.encoded) == encoded


def test_an_update_applies_only_itself(server, folder, encoder):
    sync(folder, server.url, encoder)
    before = len(encoder.encoded)
    # A revision that leaves the text as it was is not encoded again.
    changed = article_xml(8, "first 8", revised="2025-03-01", mesh=["Asthma"])
    server.put(25, 5, packed(changed, article_xml(9, "other 9", revised="2025-03-01")), "updatefiles")
    report = sync(folder, server.url, encoder)
    assert [entry.name for entry in report.applied] == ["pubmed25n0005.xml.gz"]
    assert report.ingest.counts == {"replaced": 2}
    assert encoder.encoded[before:] == ["other 9"]


def test_a_file_that_appears_while_syncing_is_applied_too(server, folder, encoder):
    late = packed(article_xml(30, "late 30"))
    server.before_answer = lambda path: path.endswith("n0002.xml.gz") and server.put(25, 5, late, "updatefiles")
    sync(folder, server.url, encoder)
    assert articles(folder) == {**FINAL, 30: "late 30"}


def test_a_file_that_was_put_out_anew_is_applied_again(server, folder, encoder):
    sync(folder, server.url, encoder)
    server.listed_date = "2026-02-02 09:00"
    assert sync(folder, server.url, encoder).applied == []
    assert server.asked("n0001.xml.gz") == 1
    asked = server.asked(".md5")
    assert sync(folder, server.url, encoder).applied == []
    assert server.asked(".md5") == asked
    server.put(25, 4, packed(article_xml(40, "corrected 40"), deleted=[21, 77]), "updatefiles")
    assert [entry.name for entry in sync(folder, server.url, encoder).applied] == ["pubmed25n0004.xml.gz"]
    assert articles(folder)[40] == "corrected 40"


def test_a_broken_file_stops_the_sync_and_the_next_goes_on(server, folder, encoder):
    good = server.files["updatefiles/pubmed25n0003.xml.gz"]
    server.files["updatefiles/pubmed25n0003.xml.gz"] = good[: len(good) // 2]
    with pytest.raises(SourceError, match="pubmed25n0003"):
        sync(folder, server.url, encoder)
    assert 6 in articles(folder)
    server.files["updatefiles/pubmed25n0003.xml.gz"] = good
    assert len(sync(folder, server.url, encoder).applied) == 2
    assert articles(folder) == FINAL


# Order and interruption


def updates():
    """Update files that revise, delete, bring back, and take in and out of a part the same few articles."""
    return {
        3: packed(article_xml(1, "asthma", revised="2025-02-01"), article_xml(2, "b", revised="2025-02-01")),
        4: packed(article_xml(1, "none", revised="2025-03-01"), article_xml(7, "asthma"), deleted=[2, 3]),
        5: packed(article_xml(3, "asthma", revised="2025-04-01"), article_xml(1, "none", revised="2025-03-01")),
        6: packed(article_xml(2, "b asthma", revised="2025-02-01", version=2), deleted=[7]),
    }


@pytest.mark.parametrize("part", [None, Part(terms=("asthma",))], ids=["all", "part"])
def test_the_order_in_which_files_turn_up_does_not_matter(server, new_index, part):
    server.files.clear()
    server.put(25, 1, packed(*[article_xml(pmid, "asthma" if pmid % 2 else "x") for pmid in range(1, 5)]))
    states = []
    for order in [(3, 4, 5, 6), *itertools.islice(itertools.permutations((6, 5, 4, 3)), 0, 24, 4)]:
        folder = make_index(new_index(), TextEncoder())
        server.files = {path: content for path, content in server.files.items() if path.startswith("baseline")}
        for number in order:
            server.put(25, number, updates()[number], "updatefiles")
            sync(folder, server.url, TextEncoder(), part=part)
        states.append(store_state(folder))
        assert states[-1] == states[0], order
    expected = {1: "none", 2: "b asthma", 3: "asthma", 4: "x"} if part is None else {2: "b asthma", 3: "asthma"}
    assert articles(folder) == expected


def test_killed_while_applying_and_started_again(server, new_index, encoder):
    whole, folder = make_index(new_index(), encoder), make_index(new_index(), encoder)
    sync(whole, server.url, encoder)
    for _ in range(12):
        # In steps of four records: at the beginning, in the middle and at the end of files.
        process = start_process(folder, server.url, die_at=4)
        if process.wait() == 0:
            break
        assert process.returncode == -signal.SIGKILL
    assert process.returncode == 0
    assert store_state(folder) == store_state(whole)


def test_killed_while_downloading_and_started_again(server, folder, encoder):
    server.put(25, 1, packed(*[article_xml(pmid, f"first {pmid}", f"{pmid} " * pmid) for pmid in range(1, 90)]))
    server.chunk_pause = 0.05
    process = start_process(folder, server.url)
    part = downloads_of(folder) / "pubmed25n0001.xml.gz.part"
    deadline = time.monotonic() + 20
    while not (part.exists() and part.stat().st_size > 600) and time.monotonic() < deadline:
        time.sleep(0.005)
    process.kill()
    process.wait()
    size = part.stat().st_size
    server.chunk_pause = 0.0
    server.requests.clear()
    sync(folder, server.url, encoder)
    assert ("baseline/pubmed25n0001.xml.gz", f"bytes={size}-", {}) in server.requests
    assert len(articles(folder)) == 86


# A part of PubMed


@pytest.mark.parametrize(
    ("part", "kept"),
    [
        (make_part(2015), {1, 2}),
        (make_part(languages=["FRE"]), {2, 3}),
        (make_part(languages=["French"]), {2, 3}),
        (make_part(languages=["en", "English"]), {1}),
        (make_part(mesh=["asthma"]), {1, 3}),
        (Part(filters=Filters(journals=("Nature",))), set()),
        (Part(filters=Filters(not_retracted=True, expression=Not(Term(Filters(languages=("fre",)))))), {1}),
        (make_part(mesh=["D000006"]), {1, 3}),
        (Part(terms=("lung function",)), {1}),
        (Part(terms=("bronch*",)), {2}),
        (Part(terms=("bronch",)), set()),
        (make_part(2015, ["Asthma"]), {1}),
        (make_part(languages=["fre", "eng"], terms=["lung", "wheeze"]), {1, 3}),
    ],
)
def test_a_part_is_kept_and_nothing_else(server, folder, encoder, part, kept):
    server.files.clear()
    records = [
        article_xml(1, "Lung\n function in asthma", year=2020, mesh=["Asthma"]),
        article_xml(2, "Le lungo", "Bronchitis.", year=2015, language="fre"),
        article_xml(3, "Pediatric", "A wheeze.", year=2014, language="fre", mesh=["Child", "Asthma"]),
    ]
    server.put(25, 1, packed(*records))
    report = sync(folder, server.url, encoder, part=part)
    assert articles(folder).keys() == kept
    assert report.applied[0].records == 3
    assert report.applied[0].kept == len(kept)


def test_a_descriptor_of_the_part_stands_for_those_below_it_in_the_tree(server, folder, encoder, tmp_path):
    tree = tmp_path / "mtrees.bin"
    tree.write_text("Lung Diseases;C08.381\nAsthma;C08.381.121\nAsthma, Occupational;C08.381.121.500\nChild;M01.060\n")
    server.files.clear()
    records = [
        article_xml(pmid, mesh=[name]) for pmid, name in enumerate(("Asthma, Occupational", "Child", "Asthma"), 1)
    ]
    server.put(25, 1, packed(*records))
    sync(folder, server.url, encoder, part=make_part(mesh=["lung diseases"]), mesh_tree=MeshTree(tree))
    assert articles(folder).keys() == {1, 3}


def test_an_article_that_is_revised_out_of_the_part_goes_and_may_return(server, folder, encoder):
    part = make_part(mesh=["Asthma"])
    server.files.clear()
    server.put(25, 1, packed(article_xml(1, mesh=["Asthma"]), article_xml(2), article_xml(3)))
    writer = backend.open_writer(folder)
    ingest.add_articles(writer, encoder, [article(2, "by hand"), article(90, "by hand")])
    writer.close()
    sync(folder, server.url, encoder, part=part)
    # What was added by hand stays, and is kept true.
    assert articles(folder) == {1: "Title 1", 2: "Title 2", 90: "by hand"}
    out = [article_xml(pmid, f"out {pmid}", revised="2025-02-01") for pmid in (1, 2, 3)]
    server.put(25, 2, packed(*out), "updatefiles")
    assert sync(folder, server.url, encoder).ingest.counts["left the part"] == 1
    assert articles(folder) == {2: "out 2", 90: "by hand"}
    reader = backend.open_reader(folder)
    with reader.view() as view:
        assert view.store.counts()["deleted"] == 0
    reader.close()
    server.put(25, 3, packed(article_xml(1, "in 1", revised="2025-03-01", mesh=["Asthma"])), "updatefiles")
    sync(folder, server.url, encoder)
    assert articles(folder) == {1: "in 1", 2: "out 2", 90: "by hand"}
    # And what left can be added by hand, to stay, unlike what NLM has deleted.
    server.put(25, 4, packed(article_xml(1, "out 1", revised="2025-04-01"), deleted=[2]), "updatefiles")
    sync(folder, server.url, encoder)
    writer = backend.open_writer(folder)
    counts = ingest.add_articles(writer, encoder, [article(1, "by hand"), article(2, "by hand")]).counts
    writer.close()
    assert counts == {"added": 1, "deleted earlier": 1}


def test_an_article_of_the_part_that_is_added_by_hand_stays(server, folder, encoder):
    server.files.clear()
    server.put(25, 1, packed(article_xml(1, mesh=["Asthma"]), article_xml(2, mesh=["Asthma"])))
    sync(folder, server.url, encoder, part=make_part(mesh=["Asthma"]))
    writer = backend.open_writer(folder)
    ingest.add_articles(writer, encoder, [writer.store.get(1)])
    writer.close()
    out = [article_xml(pmid, f"out {pmid}", revised="2025-02-01") for pmid in (1, 2)]
    server.put(25, 2, packed(*out), "updatefiles")
    sync(folder, server.url, encoder)
    assert articles(folder) == {1: "out 1"}


def test_the_part_is_remembered_and_changed_only_on_purpose(server, folder, encoder):
    sync(folder, server.url, encoder, part=Part(terms=("first",)))
    kept = {pmid: title for pmid, title in FINAL.items() if title.startswith("first")}
    assert articles(folder) == kept
    sync(folder, server.url, encoder)
    sync(folder, server.url, encoder, part=Part(terms=("first",)))
    with pytest.raises(
        IndexFolderError, match="keeps text has first; the options now say text has again.*--change-part"
    ):
        sync(folder, server.url, encoder, part=Part(terms=("again",)))
    assert articles(folder) == kept
    sync(folder, server.url, encoder, part=Part(terms=("again",)), change_part=True)
    assert articles(folder) == {6: "again 6"}
    sync(folder, server.url, encoder, change_part=True)
    assert articles(folder) == FINAL
    sync(folder, server.url, encoder, part=Part(terms=("again",)), change_part=True)
    assert articles(folder) == {6: "again 6"}


def test_options_that_mean_nothing_are_refused():
    assert make_part() is None
    part = make_part(2015, ["Asthma "], ["English"], ["lung  function"])
    assert part == Part(
        filters=Filters(year_from=2015, mesh=(MeshTerm("Asthma"),), languages=("eng",)), terms=("lung function",)
    )
    assert str(part) == "published since 2015, MeSH Asthma, language eng, text has lung function"
    assert chosen_part(part.to_json(), part) == part
    with pytest.raises(QueryError, match="no language 'Elvish'"):
        make_part(languages=["Elvish"])
    with pytest.raises(ConfigError, match="empty"):
        make_part(mesh=[" "])
    with pytest.raises(ConfigError, match="no word"):
        make_part(terms=["*"])


# A new year


def new_year(server, *, files=(1, 2), update=3):
    server.files.clear()
    content = {
        1: packed(article_xml(1, "first 1"), article_xml(2, "first 2", mesh=["New"], revised="2025-11-01")),
        2: packed(article_xml(3, "first 3"), article_xml(50, "new 50")),
    }
    for number in files:
        server.put(26, number, content.get(number, packed(article_xml(4, "first 4"))))
    if update:
        server.put(26, update, packed(article_xml(12, "back 12", revised="2026-01-02")), "updatefiles")


def test_a_new_baseline_replaces_what_is_not_in_it(server, folder, encoder):
    server.put(25, 1, packed(*[article_xml(pmid, f"first {pmid}") for pmid in (1, 2, 3, 5, 6)]))
    server.put(25, 2, packed(*[article_xml(pmid, f"first {pmid}") for pmid in (11, 12, 13)]))
    sync(folder, server.url, encoder)
    writer = backend.open_writer(folder)
    ingest.add_articles(writer, encoder, [article(900, "by hand")])
    writer.close()
    before = len(encoder.encoded)
    new_year(server)
    report = sync(folder, server.url, encoder)
    # 3 was revised by an update of the old year, after the new baseline was made: it is newer, and it is in it.
    expected = {1: "first 1", 2: "first 2", 3: "second 3", 12: "back 12", 50: "new 50", 900: "by hand"}
    assert articles(folder) == expected
    assert report.removed == 3
    assert encoder.encoded[before:] == ["first 3"][1:] + ["new 50", "back 12"]
    # An old file that is read again does not bring back what the new year has left out.
    server.put(25, 9, packed(article_xml(11, "first 11", revised="2025-12-30")), "updatefiles")
    report = sync(folder, server.url, encoder)
    assert articles(folder) == expected
    assert report.notes == ["the baseline of 2026 replaces files of earlier years: 1 passed over"]
    assert report.removed == 0


@pytest.mark.parametrize(("files", "update"), [((1, 3), 0), ((1, 2), 5), ((2,), 0)])
def test_a_baseline_that_is_not_whole_removes_nothing(server, folder, encoder, files, update):
    sync(folder, server.url, encoder)
    before = articles(folder)
    new_year(server, files=files, update=update)
    report = sync(folder, server.url, encoder)
    assert articles(folder).keys() >= before.keys()
    assert report.notes == [
        "the baseline of 2026 is not complete here; articles it does not hold are removed once it is"
    ]
    new_year(server, update=3)
    sync(folder, server.url, encoder, accept_removals=True)
    assert 7 not in articles(folder)


def test_very_many_removals_are_asked_about(server, folder, encoder):
    sync(folder, server.url, encoder)
    new_year(server)
    with pytest.raises(IndexFolderError, match="15 articles of this index are not in it any more.*--accept-removals"):
        sync(folder, server.url, encoder)
    assert 7 in articles(folder)
    assert sync(folder, server.url, encoder, accept_removals=True).removed == 15
    assert 7 not in articles(folder)


def test_updates_wait_for_the_baseline_of_their_year(server, folder, encoder):
    server.put(26, 1300, packed(article_xml(60)), "updatefiles")
    report = sync(folder, server.url, encoder)
    assert articles(folder) == FINAL
    assert report.notes == ["the baseline of a later year is not there yet: 1 update files wait for it"]


# Looking ahead, folders, the command line


def config(server, tmp_path, **more):
    return config_from_dict({"nlm": {"url": server.url}, "eutils": {"url": server.url, "timeout": 2}, **more})


def test_a_dry_run_tells_and_does_nothing(server, folder, encoder, tmp_path):
    settings = config(server, tmp_path)
    plan = preview(settings, tmp_path / "not there", None, part=make_part(2015))
    assert (plan.baseline_files, plan.update_files, plan.part) == (2, 2, "published since 2015")
    assert plan.bytes == sum(len(content) for content in server.files.values())
    assert not (tmp_path / "not there").exists()
    sync(folder, server.url, encoder)
    server.put(25, 5, packed(*[article_xml(pmid) for pmid in range(60, 70)]), "updatefiles")
    before = store_state(folder)
    plan = preview(settings, folder, None)
    assert [file.name for file in plan.files] == ["pubmed25n0005.xml.gz"]
    # Reckoned with the bytes a record has had so far.
    assert 3 <= plan.records <= 30
    assert store_state(folder) == before
    assert server.asked("n0005.xml.gz") == 0


def command(server, tmp_path, monkeypatch, *arguments):
    from search import api
    from search.cli.main import cli

    monkeypatch.setattr(api, "_load_encoder", lambda model, config, **_: TextEncoder())
    monkeypatch.setenv("SEARCH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "config.yml").write_text(
        f"index: {tmp_path / 'made'}\nnlm:\n  url: {server.url}\neutils:\n  url: {server.url}\n  email: a@example.org\n"
    )
    return CliRunner().invoke(cli, [*arguments, "--config", str(tmp_path / "config.yml")], catch_exceptions=False)


def test_the_command_line_syncs(server, tmp_path, monkeypatch):
    result = command(server, tmp_path, monkeypatch, "sync", "--since", "2000", "--dry-run")
    assert "to apply  2 baseline and 2 update files" in result.stdout
    assert "keeps     published since 2000" in result.stdout
    assert not (tmp_path / "made").exists()
    result = command(server, tmp_path, monkeypatch, "sync", "--since", "2000", "--keep")
    assert "4 files applied, with 4 deletions; kept: published since 2000" in result.stderr
    assert articles(tmp_path / "made") == FINAL
    with Index.open(tmp_path / "made") as index:
        nlm = index.status().nlm
    assert (nlm.part, nlm.applied, nlm.last) == ("published since 2000", 4, "pubmed25n0004.xml.gz")
    kept = tmp_path / "made" / "downloads"
    assert sorted(path.name[8:13] for path in kept.iterdir()) == ["n0001", "n0002", "n0003", "n0004"]
    # The kept files are files to sync from; here by themselves they are the same.
    result = command(server, tmp_path, monkeypatch, "sync", "--from", str(kept), "--dry-run")
    assert "to apply  0 baseline and 0 update files" in result.stdout
    (tmp_path / "second").mkdir()
    result = command(server, tmp_path, monkeypatch, "sync", "--from", str(kept), "--index", str(tmp_path / "second"))
    assert articles(tmp_path / "second") == FINAL


def test_the_command_line_adds_a_query(server, tmp_path, monkeypatch):
    server.records = {pmid: (article_xml(pmid), "2001/01/01") for pmid in range(1, 6)}
    monkeypatch.setenv("NCBI_API_KEY", "secret")
    result = command(server, tmp_path, monkeypatch, "add", "--pubmed", "aspirin", "--limit", "3")
    assert "3 records read: 3 added; 3 encoded" in result.stderr
    assert articles(tmp_path / "made") == {5: "Title 5", 4: "Title 4", 3: "Title 3"}
    assert (server.requests[0][2]["email"], server.requests[0][2]["api_key"]) == ("a@example.org", "secret")
    with Index.open(tmp_path / "made") as index:
        assert index.status().stale == 0


@pytest.mark.parametrize(
    "arguments", [[], ["file", "--pubmed", "x"], ["file", "--limit", "3"], ["--pubmed", "x", "--strict"]]
)
def test_options_that_do_not_go_together(server, tmp_path, monkeypatch, arguments):
    from click import UsageError

    with pytest.raises(UsageError):
        from search.cli.main import cli

        cli(["add", *arguments], standalone_mode=False)


class Interrupted(TextEncoder):
    def encode(self, texts, kind="document"):
        if len(self.encoded) >= 400:
            raise KeyboardInterrupt
        return super().encode(texts, kind)


def test_a_query_that_was_interrupted_goes_on(server, folder, encoder, tmp_path):
    server.records = {pmid: (article_xml(pmid), "2001/01/01") for pmid in range(1, 701)}
    eutils = Eutils(server.url, tool="tests", cache=tmp_path, patience=QUICK, interval=0)

    def add(encoder):
        writer = backend.open_writer(folder)
        try:
            return add_query(writer, encoder, eutils, "aspirin")
        finally:
            writer.close()

    with pytest.raises(KeyboardInterrupt):
        add(Interrupted())
    assert len(articles(folder)) == 400
    server.requests.clear()
    report = add(encoder)
    assert [form["retstart"] for path, _, form in server.requests if path == "efetch.fcgi"] == ["400", "600"]
    assert report.counts == {"added": 300, "fetched before the interruption": 400}
    assert len(articles(folder)) == 700
    # Now that it has finished, everything is checked again.
    assert add(encoder).counts == {"unchanged": 700}
    eutils.close()
