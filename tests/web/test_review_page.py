"""Reviewing in a real browser: reference lists, following citations, and what a saved search has behind it."""

import re

import httpx
import msgspec
import pytest

from search.api import Index

from .conftest import running_server
from .test_page import CHROMIUM, NARROW, browser, expect, found_by, open_page, shot, shown  # noqa: F401

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")

RIS = "TY  - JOUR\nTI  - {}\nAU  - Lee, A\nPY  - 2010\nER  - \n"
RETRACTED, OTHER = 990000067, 990000010


def file(name, text):
    return {"name": name, "mimeType": "text/plain", "buffer": text.encode()}


def axe(page):
    found = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed").Axe()
    return found_by(found.run(page))


@pytest.mark.parametrize("size", [{"width": 1280, "height": 860}, NARROW], ids=["wide", "narrow"])
def test_reference_lists_are_checked_and_freed_of_duplicates(open_page, server, size):  # noqa: F811
    page = open_page(size=size)
    page.get_by_role("button", name="References").click()
    dialog = page.get_by_role("dialog", name="Reference lists")
    dialog.get_by_role("button", name="Check").click()
    expect(dialog.get_by_role("alert")).to_have_text("Choose a file, or paste references.")
    ids = f"{OTHER}\nnonsense\n{RETRACTED}\n{OTHER}\n"
    dialog.get_by_role("textbox").fill(ids)
    dialog.get_by_role("button", name="Check").click()
    report = httpx.post(f"{server}/api/check", json={"references": ids, "name": "pasted"}, timeout=60).json()
    expect(dialog.locator("caption")).to_have_text("pasted: 4 references, 1 retracted, 1 duplicate, 1 unreadable")
    rows = dialog.locator("tbody tr")
    # The gravest first: of lines 3, 4 and 2.
    for place, line in enumerate((3, 4, 2)):
        (finding,) = report["checked"][line - 1]["findings"]
        assert rows.nth(place).locator("td").nth(1).inner_text() == f"{finding['problem']} {finding['told']}"
        expect(rows.nth(place)).to_contain_text(f"line {line}")
    expect(rows.nth(0).get_by_role("link")).to_have_attribute("href", f"{server}/article/{RETRACTED}")
    assert axe(page) == []
    dialog.get_by_role("textbox").fill("")
    one, other = RIS.format("A title of some length about zebras"), RIS.format("Another title about quite other things")
    dialog.locator("input").set_input_files([file("a.ris", one), file("a.ris", one.upper() + other)])
    dialog.get_by_role("button", name="Find duplicates").click()
    expect(dialog).to_contain_text("Identified 3, duplicates removed 1, to screen 2.")
    expect(dialog).to_contain_text("a.ris (2): 2 identified, 1 removed")
    expect(rows).to_have_count(1)
    expect(rows.first).to_contain_text("is a.ris line 1: same title")
    with page.expect_download() as download:
        dialog.get_by_role("button", name="Download these as RIS").click()
    text = download.value.path().read_text()
    assert download.value.suggested_filename == "deduplicated.ris"
    assert re.findall("TI  - (.*)", text) == [
        "A title of some length about zebras",
        "Another title about quite other things",
    ]
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    shot(page, f"references-{size['width']}")


@pytest.fixture(scope="module")
def reviewed(built_demo, tmp_path_factory):
    """The address of a server of records that cite each other, with a saved search of three runs."""
    import shutil

    folder = tmp_path_factory.mktemp("reviewed")
    index = shutil.copytree(built_demo, folder / "index")
    with Index.open(index) as opened:
        records = {pmid: opened.get(pmid) for pmid in range(990000010, 990000016)}
        cites = {990000011: (990000010, 55), 990000012: (990000010, 990000011), 990000013: (990000012,)}
        opened.add(
            [msgspec.structs.replace(records[pmid], references=works, version=2) for pmid, works in cites.items()]
        )
        opened.save_search("aspirin", "aspirin and bowel cancer", 5)
        opened.save_search("aspirin", "aspirin and bowel cancer", 5)
        again = msgspec.structs.replace(
            opened.get(990000025), pmid=77, title="Aspirin and bowel cancer again", doi=None
        )
        opened.add([again])
        opened.new_results("aspirin")
    (folder / "config.yml").write_text("serve: {seconds: 120}\n")
    with running_server(index, cwd=folder) as (address, _):
        yield address


def follow(address, **body):
    found = httpx.post(f"{address}/api/snowball", json=body, timeout=60).json()
    return [hit["pmid"] for hit in found["articles"]], [other["work"] for other in found["others"]]


def listed(page, pmids):
    expect(page.locator("#results > li")).to_have_count(len(pmids))
    assert shown(page) == pmids


def test_citations_are_followed_from_an_article_and_from_ticked_ones(open_page, reviewed):  # noqa: F811
    page = open_page("article/990000010", base=reviewed)
    page.get_by_role("link", name="Snowball").click()
    first, _ = follow(reviewed, pmids=[990000010])
    assert set(first) == {990000011, 990000012}
    listed(page, first)
    expect(page.locator("#r990000011 .source")).to_contain_text("cited by 1 · linked to 1 of the set")
    expect(page.locator("#filters, #quick, #map-button")).to_have_count(3)
    expect(page.locator("#filters")).to_be_hidden()
    page.get_by_label("Rounds").select_option("2 rounds")
    second, others = follow(reviewed, pmids=[990000010], rounds=2)
    assert 990000013 in second and others == [55]
    listed(page, second)
    expect(page.locator("#also")).to_have_text("Not in this index: PMID 55")
    assert axe(page) == []
    page.go_back()
    listed(page, first)
    # From one of these on: neither these nor what they were found from are seen again.
    page.locator("#r990000012 .tick input").check()
    page.get_by_role("button", name="Snowball").click()
    listed(page, [990000013])
    assert follow(reviewed, pmids=[990000012], seen=[990000010, *first])[0] == [990000013]
    page.locator("#r990000013 .tick input").check()
    page.get_by_role("button", name="Snowball").click()
    expect(page.locator("#summary")).to_contain_text("knows of no other work")


def test_a_saved_search_has_its_runs_its_report_and_its_feed(open_page, reviewed):  # noqa: F811
    page = open_page(base=reviewed)
    page.get_by_role("button", name="New results, reports").click()
    dialog = page.get_by_role("dialog", name="Saved searches")
    place = dialog.get_by_role("status")
    dialog.get_by_text("3 runs").click()
    runs = dialog.get_by_role("checkbox")
    runs.nth(0).check()
    runs.nth(1).check()
    expect(place).to_have_text("Nothing sets these runs apart.")
    runs.nth(0).uncheck()
    runs.nth(2).check()
    expect(place).to_contain_text("Only in run 3: 1")
    expect(place.get_by_role("link")).to_have_text("Aspirin and bowel cancer again")
    expect(place).to_contain_text("articles: 220 → 221")
    assert axe(page) == []
    dialog.get_by_role("button", name="Report").click()
    expect(place.locator("pre")).to_have_text(httpx.get(f"{reviewed}/api/saved/aspirin/report", timeout=60).text)
    with page.expect_download() as download:
        dialog.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "aspirin.md"
    assert download.value.path().read_text().startswith("# Report of the search aspirin")
    place.locator("input").set_input_files(file("embase.ris", RIS.format("Something about zebras and nothing else")))
    expect(place.locator("pre")).to_contain_text(re.compile(r"Records identified in embase\.ris\s+1"))
    dialog.get_by_role("button", name="Copy").click()
    expect(dialog.get_by_role("button", name="Copied")).to_be_visible()
    feed = dialog.get_by_role("link", name="Feed").get_attribute("href")
    assert "<title>Aspirin and bowel cancer again</title>" in httpx.get(feed, timeout=60).text
    dialog.get_by_role("link", name="Snowball").click()
    expect(page.locator("#summary")).not_to_be_empty()
    found, _ = follow(reviewed, saved="aspirin")
    listed(page, found)
