"""The page in a real browser: asking, filtering, paging, exporting, keys, narrow and dark, accessibility, failures.

Screenshots of what is shown go to `build/screenshots`.
"""

import csv
import os
import re
import shutil
from pathlib import Path

import httpx
import pytest
import yaml
from llm_server import llm_server

from .conftest import running_server

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
expect = playwright.expect

ROOT = Path(__file__).parents[2]
SHOTS = ROOT / "build" / "screenshots"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")

ASPIRIN = "does taking aspirin lower the risk of bowel cancer?"
WIDE, NARROW = {"width": 1440, "height": 1000}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser():
    SHOTS.mkdir(parents=True, exist_ok=True)
    with playwright.sync_playwright() as driver:
        arguments = ["--disable-gpu", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
        made = driver.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield made
        made.close()


@pytest.fixture
def open_page(browser, server):
    """Open the page; at the end, nothing may have been loaded from elsewhere and nothing gone wrong in it."""
    contexts, troubles = [], []

    def _open(path="", *, size=WIDE, scheme="light", base=server, expected=()):
        context = browser.new_context(viewport=size, color_scheme=scheme, accept_downloads=True)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.on("request", lambda request: request.url.startswith((base, "blob:")) or troubles.append(request.url))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on(
            "console",
            lambda said: (
                said.type == "error" and not any(e in said.text for e in expected) and troubles.append(said.text)
            ),
        )
        page.goto(f"{base}/{path}")
        return page

    yield _open
    for context in contexts:
        for page in context.pages:
            # What a test has put in the way of a request may still be at work on it.
            page.unroute_all(behavior="ignoreErrors")
        context.close()
    assert troubles == []


def settled(page):
    """Wait until everything that was asked for is there."""
    page.locator("body:not([aria-busy]) #years > .year-fields").wait_for(state="attached")
    return page


def ask(page, question=ASPIRIN):
    page.get_by_role("combobox", name="Your question").fill(question)
    page.keyboard.press("Enter")
    return settled(page)


def shown(page):
    return [int(found.get_attribute("id")[1:]) for found in page.locator("#results > li").all()]


def asked(server, path="search", **body):
    """What the API answers; the page asks by meaning and words unless it is told."""
    if "question" in body:
        body = {"mode": "hybrid", **body}
    return [hit["pmid"] for hit in httpx.post(f"{server}/api/{path}", json=body, timeout=60).json()]


def shot(page, name):
    page.screenshot(path=SHOTS / f"{name}.png")


def test_ask_a_question(open_page, server):
    page = open_page()
    expect(page.get_by_role("heading", name="Find articles by what they mean")).to_be_visible()
    expect(page.locator("#facts")).to_contain_text("220 articles")
    shot(page, "start-wide-light")
    ask(page)
    assert shown(page) == asked(server, question=ASPIRIN, limit=20)
    first = page.locator("#r990000025")
    expect(first).to_contain_text("Not a real study")
    (hit,) = httpx.post(
        f"{server}/api/search", json={"question": ASPIRIN, "limit": 1, "evidence": 1, "mode": "hybrid"}, timeout=60
    ).json()
    expect(first.locator(".evidence q")).to_have_text(hit["evidence"][0]["text"])
    first.get_by_role("button", name="Abstract").click()
    expect(first.locator(".details mark").first).to_be_visible()
    assert hit["evidence"][0]["text"] in first.locator(".details mark").all_inner_texts()
    assert "q=does+taking+aspirin" in page.url
    shot(page, "results-wide-light")


def test_a_drag_over_the_years_filters_and_back_takes_it_away(open_page, server):
    page = ask(open_page())
    everything = shown(page)
    box = page.locator("#years svg").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + 30, steps=4)
    page.mouse.up()
    page.wait_for_url(re.compile("from="))
    settled(page)
    first, last = (int(re.search(rf"{end}=(\d+)", page.url)[1]) for end in ("from", "to"))
    assert last - first > 2
    filters = {"year_from": first, "year_to": last}
    assert shown(page) == asked(server, question=ASPIRIN, limit=20, filters=filters) != everything
    page.reload()
    assert shown(settled(page)) == asked(server, question=ASPIRIN, limit=20, filters=filters)
    shot(page, "years-wide-light")
    page.go_back()
    page.wait_for_url(lambda url: "from=" not in url)
    expect(page.locator("#chips > *")).to_have_count(0)
    settled(page)
    assert shown(page) == everything


def test_years_from_the_keyboard(open_page, server):
    page = ask(open_page())
    page.get_by_label("From year").fill("2010")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("from=2010"))
    settled(page)
    assert shown(page) == asked(server, question=ASPIRIN, limit=20, filters={"year_from": 2010})
    page.get_by_role("button", name="Remove: 2010").click()
    page.wait_for_url(lambda url: "from=" not in url)


def test_facets_filter_and_their_counts_are_the_servers(open_page, server):
    page = ask(open_page())
    body = {"question": ASPIRIN, "mode": "hybrid", "relevant": True}
    counts = httpx.post(f"{server}/api/facets", json=body, timeout=60).json()
    name, count = next(iter(counts["publication_types"].items()))
    option = page.locator("label.option", has_text=name).first
    expect(option.locator(".count")).to_have_text(str(count))
    option.click()
    page.wait_for_url(re.compile("type="))
    settled(page)
    page.get_by_role("checkbox", name="Not retracted").focus()
    page.keyboard.press("Space")
    page.wait_for_url(re.compile("current=1"))
    settled(page)
    filters = {"publication_types": [name], "not_retracted": True}
    assert shown(page) == asked(server, question=ASPIRIN, limit=20, filters=filters)
    # Whoever filters from a keyboard stays where they were.
    expect(page.get_by_role("checkbox", name="Not retracted")).to_be_focused()
    page.locator("#chips").get_by_text(name).click()
    page.wait_for_url(lambda url: "type=" not in url)


def test_pages(open_page, server):
    page = ask(open_page())
    page.get_by_role("button", name="Next").click()
    page.wait_for_url(re.compile("page=2"))
    expect(page.locator("#summary")).to_contain_text("Results 21 to 40")
    settled(page)
    assert shown(page) == asked(server, question=ASPIRIN, limit=20, offset=20)
    page.go_back()
    expect(page.locator("#summary")).to_contain_text("Results 1 to 20")


def test_modes(open_page, server):
    page = ask(open_page())
    for label, mode in (("Words", "lexical"), ("Both", "hybrid")):
        page.get_by_role("radio", name=label).check()
        page.wait_for_url(re.compile(f"mode={mode}"))
        settled(page)
        assert shown(page) == asked(server, question=ASPIRIN, limit=20, mode=mode)


def test_similar_articles(open_page, server):
    page = open_page("?q=dementia+donepezil")
    settled(page)
    page.goto(f"{server}/?like=990000073")
    settled(page)
    assert shown(page) == asked(server, "similar", pmids=[990000073], limit=20)
    page.locator("#r990000074").get_by_role("button", name="More like this").click()
    page.wait_for_url(re.compile("like=990000074"))
    expect(page.locator("#chips button")).to_have_count(1)
    settled(page)
    assert shown(page)[0] == asked(server, "similar", pmids=[990000074], limit=1)[0]


def test_retracted_articles_are_marked(open_page):
    page = open_page("?q=990000067%5Bpmid%5D")
    expect(page.locator("#r990000067 .badge.danger")).to_have_text("Retracted")
    settled(page)
    shot(page, "retracted-wide-light")


def test_select_and_export(open_page, server):
    page = ask(open_page())
    chosen = shown(page)[:2]
    for pmid in chosen:
        page.locator(f"#r{pmid} .tick input").check()
    expect(page.locator("#selection-count")).to_have_text("2 articles selected")
    page.locator("#selection-export").click()
    page.get_by_label("BibTeX").check()
    shot(page, "export-wide-light")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "pubmed.bib"
    body = {"pmids": chosen, "format": "bibtex"}
    expected = httpx.post(f"{server}/api/export", json=body).content
    assert Path(download.value.path()).read_bytes() == expected
    # A reload keeps the selection; the other choice is the results themselves.
    page.reload()
    settled(page)
    expect(page.locator("#selection-count")).to_have_text("2 articles selected")
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#selection")).to_be_hidden()
    page.keyboard.press("e")
    page.get_by_label("How many results").fill("5")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    expected = httpx.post(
        f"{server}/api/export", json={"question": ASPIRIN, "mode": "hybrid", "limit": 5, "format": "ris"}
    ).content
    assert Path(download.value.path()).read_bytes() == expected


def test_keys(open_page):
    page = open_page()
    page.locator("#facts:not(:empty)").wait_for()
    page.keyboard.press("/")
    expect(page.get_by_role("combobox", name="Your question")).to_be_focused()
    page.keyboard.type("aspirin and bowel cancer")
    page.keyboard.press("Enter")
    settled(page)
    first, second = shown(page)[:2]
    page.keyboard.press("ArrowDown")
    expect(page.locator(f"#r{first}")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.locator(f"#r{second}")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(f"#r{second}-details")).to_be_visible()
    page.keyboard.press("x")
    expect(page.locator("#selection-count")).to_have_text("1 article selected")
    page.keyboard.press("ArrowUp")
    expect(page.locator(f"#r{first}")).to_be_focused()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("n")
    page.wait_for_url(re.compile("page=2"))
    settled(page)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("s")
    page.wait_for_url(re.compile("like="))


LABELS_THAT_OVERLAP = """() => {
    const boxes = [...document.querySelectorAll(".topic-label")].map((label) => [label.textContent, label.getBBox()]);
    const apart = (one, other) => one.x + one.width <= other.x || other.x + other.width <= one.x
        || one.y + one.height * 0.8 <= other.y || other.y + other.height * 0.8 <= one.y;
    return boxes.flatMap(([name, box], place) => boxes.slice(0, place).filter(([, other]) => !apart(box, other))
        .map(([other]) => [name, other]));
}"""


def test_the_map(open_page, server):
    page = ask(open_page(scheme="dark", size={"width": 1600, "height": 1000}))
    page.get_by_role("button", name="Map", exact=True).click()
    page.wait_for_url(re.compile("side=map"))
    expected = httpx.post(
        f"{server}/api/map", json={"question": ASPIRIN, "mode": "hybrid", "limit": 300, "relevant": True}, timeout=60
    ).json()
    expect(page.locator("circle.dot")).to_have_count(len(expected["points"]))
    expect(page.locator(".legend li")).to_have_count(len(expected["topics"]))
    settled(page)
    assert page.evaluate(LABELS_THAT_OVERLAP) == []
    page.locator("circle[data-pmid='990000025']").click()
    expect(page.locator(".map-told")).to_contain_text("20-year follow-up")
    shot(page, "map-wide-dark")
    page.locator(".map-told").get_by_role("button", name="Result 1").click()
    expect(page.locator("#r990000025")).to_be_focused()
    page.locator(".legend button").first.click()
    dimmed = page.locator("circle.dot:not(.in)")
    expect(dimmed).to_have_count(len(expected["points"]) - expected["topics"][0]["articles"])
    page.get_by_role("radio", name="Year").check()
    expect(page.locator(".scale")).to_be_visible()
    shot(page, "map-years-wide-dark")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_screen(open_page, scheme):
    page = open_page(size=NARROW, scheme=scheme)
    page.locator("#facts:not(:empty)").wait_for()
    box = page.locator("#ask").bounding_box()
    assert box["x"] + box["width"] <= NARROW["width"] - 10
    shot(page, f"start-narrow-{scheme}")
    ask(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    shot(page, f"results-narrow-{scheme}")
    expect(page.locator("#filters")).to_be_hidden()
    page.get_by_role("button", name="Filters").click()
    page.get_by_role("checkbox", name="With an abstract").click()
    settled(page)
    shot(page, f"filters-narrow-{scheme}")
    page.get_by_role("button", name="Done").click()
    settled(page)
    expect(page.locator("#filters")).to_be_hidden()
    expect(page.locator(".chip")).to_have_count(1)
    page.get_by_role("button", name="Map", exact=True).click()
    settled(page)
    page.locator("circle.dot").first.wait_for()
    expect(page.locator("circle.dot").first).to_be_in_viewport()
    shot(page, f"map-narrow-{scheme}")
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_axe_finds_nothing(open_page, scheme, size):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed").Axe()
    page = open_page(scheme=scheme, size=size)
    page.locator("#facts:not(:empty)").wait_for()
    problems = found_by(axe.run(page))
    page.goto(page.url + "?q=aspirin+bowel+cancer&side=map&from=1990")
    settled(page)
    page.locator(".result button[aria-expanded]").first.click()
    page.locator(".tick input").first.check()
    problems += found_by(axe.run(page))
    page.locator("#selection-export").click()
    problems += found_by(axe.run(page))
    page.goto(page.url.split("?")[0] + "article/990000067")
    page.locator("#similar li").first.wait_for()
    problems += found_by(axe.run(page))
    assert problems == []


def found_by(results):
    return [
        (found["id"], found["help"], [node["html"] for node in found["nodes"]][:3])
        for found in results.response["violations"]
    ]


SHOW_AN_ARTICLE = """async (abstract) => {
    const { resultItem, toggleDetails } = await import("./results.js");
    const none = { authors: [], mesh: [], publication_types: [], notices: [] };
    const hit = { pmid: 1, rank: 1, title: "T", abstract, url: "", ...none };
    const item = resultItem(hit, { isSelected: () => false });
    toggleDetails(item);
    return [...item.querySelectorAll(".details > p")].map((part) => part.textContent);
}"""


def test_sections_that_a_source_joined_are_shown_apart(open_page):
    joined = "AIM: To see (it). MATERIAL & METHODS: We used DNA: RNA (in vivo). RESULTS: RR=1.01. It: helped."
    shown_apart = ["AIMTo see (it).", "MATERIAL & METHODSWe used DNA: RNA (in vivo).", "RESULTSRR=1.01. It: helped."]
    assert open_page().evaluate(SHOW_AN_ARTICLE, joined) == shown_apart
    assert open_page().evaluate(SHOW_AN_ARTICLE, "AIM: One.\nTwo: three.") == ["AIMOne.", "Two: three."]


def test_a_question_that_cannot_be_answered(open_page):
    page = open_page(expected=("status of 400",))
    page.get_by_role("combobox", name="Your question").fill("statins 2015:soon[dp]")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").first).to_contain_text("soon")
    pointed = page.locator(".problem pre").inner_text().split("\n")
    assert pointed[0].index("2015") == pointed[1].index("^")
    shot(page, "error-wide-light")
    page.goto(page.url.split("?")[0] + "?q=aspirin&from=2300")
    settled(page)
    expect(page.get_by_role("status").first).to_contain_text("Nothing passes these filters")


def test_results_stay_where_only_what_is_beside_them_fails(open_page):
    page = open_page(expected=("status of 504",))
    error = {"error": {"status": 504, "code": "timed_out", "message": "the answer took longer than 30 s"}}
    for path in ("map", "facets"):
        page.route(f"**/api/{path}", lambda route: route.fulfill(status=504, json=error))
    page.goto(f"{page.url}?q=aspirin&side=map")
    expect(page.locator("#side")).to_have_text("The answer took longer than 30 s")
    expect(page.locator("#facets-note")).to_have_text("The answer took longer than 30 s")
    expect(page.locator("#results > li")).to_have_count(20)
    expect(page.get_by_role("alert").first).to_be_empty()


def test_a_server_that_is_gone(open_page, built_demo, tmp_path):
    with running_server(built_demo, cwd=tmp_path) as (address, process):
        page = open_page("?q=aspirin", base=address, expected=("ERR_CONNECTION",))
        settled(page)
        process.terminate()
        process.wait(30)
        page.get_by_role("combobox", name="Your question").fill("sleep")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert").first).to_contain_text("The server does not answer")
        shot(page, "gone-wide-light")


def test_a_token_and_saving(open_page, demo, tmp_path):
    from search.web.access_tokens import new_token, token_hash

    token = new_token()
    settings = {"hosts": ["clinic.example"], "tokens": [token_hash(token)], "write": True}
    (tmp_path / "config.yml").write_text(yaml.safe_dump({"serve": settings}))
    with running_server(demo, cwd=tmp_path) as (address, _):
        page = open_page("?q=aspirin", base=address, expected=("status of 401", "ERR_CONNECTION"))
        page.get_by_role("textbox", name="Token").fill(token)
        page.get_by_role("button", name="Use it").click()
        settled(page)
        page.get_by_role("button", name="Save search").click()
        page.get_by_role("textbox", name="Name").fill("aspirin")
        page.locator("#save").get_by_role("button", name="Save").click()
        expect(page.locator("#told")).to_contain_text("Saved as aspirin")
        page.get_by_role("link", name="start page").click()
        page.locator("#saved").get_by_text("aspirin").click()
        page.wait_for_url(re.compile(r"q=aspirin&mode=hybrid"))


def test_a_strategy_is_counted_and_selects(open_page):
    page = open_page()
    page.get_by_role("button", name="Advanced").click()
    dialog = page.get_by_role("dialog", name="Strategy")
    dialog.get_by_label("Term").fill("blood pressure")
    dialog.get_by_role("button", name="Add").click()
    expect(dialog.get_by_label("Strategy", exact=True)).to_have_value('"blood pressure"[tiab]')
    dialog.get_by_label("Strategy", exact=True).fill("blood[tiab]\npressure[tiab]\n#1 AND #2")
    dialog.get_by_role("button", name="Count").click()
    expect(dialog.get_by_role("row")).to_have_count(3)
    page.screenshot(path=SHOTS / "strategy.png")
    count = int(dialog.get_by_role("row").nth(2).locator("td").last.inner_text())
    dialog.get_by_role("button", name="Use it").click()
    expect(dialog).to_be_hidden()
    expect(page.locator("#results > li")).to_have_count(min(count, 20))
    assert "strategy=" in page.url
    page.get_by_role("button", name="Remove: Strategy").click()
    expect(page.locator("#results")).to_be_hidden()


def test_a_strategy_that_cannot_be_read_stays_with_its_caret(open_page):
    page = open_page(expected=["400"])
    page.get_by_role("button", name="Advanced").click()
    dialog = page.get_by_role("dialog", name="Strategy")
    dialog.get_by_label("Strategy", exact=True).fill("blood[tiba]")
    dialog.get_by_role("button", name="Use it").click()
    expect(dialog.get_by_role("alert")).to_contain_text("no field [tiba]")
    expect(dialog).to_be_visible()


PLACES = """() => Object.fromEntries([...document.querySelectorAll("#facets [data-key]")]
    .map((box) => [box.dataset.key, Math.round(box.getBoundingClientRect().top)]))"""


def test_filters_stay_where_they_are_and_count_what_choosing_them_gives(open_page, server):
    page = ask(open_page())
    before = page.evaluate(PLACES)
    third = page.locator("#facet-types + .facet-values label").nth(2)
    name = third.locator(".option-text").inner_text()
    third.click()
    page.wait_for_url(re.compile("type="))
    settled(page)
    after = page.evaluate(PLACES)
    assert {key: after[key] for key in before if key.startswith("types")} == {
        key: place for key, place in before.items() if key.startswith("types")
    }
    # Another type beside it: as many as there are of either.
    other = page.locator("#facet-types + .facet-values label").nth(1)
    both = [name, other.locator(".option-text").inner_text()]
    other.click()
    page.wait_for_url(lambda url: url.count("type=") == 2)
    settled(page)
    filters = {"publication_types": both}
    body = {"question": ASPIRIN, "mode": "hybrid", "relevant": True}
    count = httpx.post(f"{server}/api/facets", json={**body, "filters": filters}, timeout=60).json()["articles"]
    expect(page.locator("#summary")).to_contain_text(f", {count} relevant")
    counts = httpx.post(f"{server}/api/facets", json=body, timeout=60).json()["publication_types"]
    assert other.locator(".count").inner_text() == str(counts[both[1]])


def test_another_list_is_read_from_its_beginning(open_page):
    page = ask(open_page())
    page.locator("#results > li").nth(8).get_by_role("button", name="More like this").click()
    page.wait_for_url(re.compile("like="))
    settled(page)
    assert page.evaluate("scrollY") == 0
    expect(page.locator("#chips button").first).to_contain_text("Like: ")
    page.reload()
    settled(page)
    assert "PMID" not in page.locator("#chips button").first.inner_text()
    page.locator("#results > li").nth(8).scroll_into_view_if_needed()
    page.keyboard.press("/")
    page.keyboard.type("sleep")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("q=sleep"))
    settled(page)
    assert page.evaluate("scrollY") == 0


TOPS = """() => [...document.querySelectorAll("#results > li")].map((item) => item.offsetTop)"""


def test_results_are_there_before_their_sentences_which_move_nothing(open_page):
    page = open_page()
    held, holds = [], [True]

    def hold(route):
        if holds and route.request.post_data_json.get("evidence"):
            held.append(route)
        else:
            route.continue_()

    page.route("**/api/search", hold)
    page.get_by_role("combobox", name="Your question").fill(ASPIRIN)
    page.keyboard.press("Enter")
    expect(page.locator("#results > li")).to_have_count(20)
    expect(page.locator("body")).not_to_have_class(re.compile("waiting"))
    before = page.evaluate(TOPS)
    expect(page.locator(".snippet.evidence")).to_have_count(0)
    holds.clear()
    for route in held:
        route.continue_()
    settled(page)
    expect(page.locator(".snippet.evidence").first).to_be_visible()
    assert page.evaluate(TOPS) == before


def test_print(open_page, tmp_path):
    page = ask(open_page())
    page.emulate_media(media="print")
    first = page.locator("#results > li").first
    assert first.locator(".body").bounding_box()["width"] > 0.9 * page.locator(".list").bounding_box()["width"]
    snippet = first.locator(".snippet")
    assert snippet.evaluate("e => e.scrollHeight <= e.clientHeight + 1")
    for hidden in ("#filters", "#side", ".top", "#quick"):
        expect(page.locator(hidden)).to_be_hidden()


def test_a_search_is_saved_without_a_token_on_ones_own_machine(open_page, demo, tmp_path):
    with running_server(demo, cwd=tmp_path) as (address, _):
        page = open_page("?q=aspirin+and+bowel+cancer&mesh=Aspirin", base=address, expected=("status of 400",))
        settled(page)
        page.get_by_role("button", name="Save search").click()
        page.get_by_role("textbox", name="Name").fill("bowel cancer")
        page.keyboard.press("Enter")
        expect(page.locator("#told")).to_contain_text("Saved as bowel-cancer")
        # Another search of that name is refused until it is said to replace the first.
        page.goto(f"{address}/?q=statins")
        settled(page)
        page.get_by_role("button", name="Save search").click()
        page.get_by_role("textbox", name="Name").fill("bowel-cancer")
        page.keyboard.press("Enter")
        expect(page.locator("#save-problem")).to_contain_text("another search is saved")
        page.locator("#save").get_by_role("button", name="Cancel").click()
        page.goto(address)
        page.locator("#saved").get_by_text("bowel-cancer").click()
        page.wait_for_url(re.compile("mesh=Aspirin"))
        settled(page)
        expect(page.get_by_role("button", name="Remove: Aspirin")).to_be_visible()
        manage_saved(page, address)


def manage_saved(page, address):
    page.goto(address)
    page.get_by_role("button", name="New results, reports").click()
    dialog = page.get_by_role("dialog", name="Saved searches")
    dialog.get_by_role("button", name="What is new").click()
    expect(dialog.get_by_role("status")).to_have_text("Nothing since it last ran.")
    page.once("dialog", lambda asked: asked.accept("colon"))
    dialog.get_by_role("button", name="Rename").click()
    expect(dialog.get_by_role("link", name="colon")).to_be_visible()
    expect(dialog.get_by_text("2 runs")).to_be_visible()
    page.once("dialog", lambda asked: asked.accept())
    dialog.get_by_role("button", name="Delete").click()
    expect(dialog).to_be_hidden()
    expect(page.locator("#saved")).to_be_hidden()
    assert httpx.get(f"{address}/api/saved").json() == []


def test_the_page_of_an_article(open_page, server):
    page = open_page("?q=990000067")
    settled(page)
    page.locator("#r990000067 h2 a").click()
    page.wait_for_url("**/article/990000067")
    expect(page.get_by_role("heading", level=1)).to_contain_text("High-dose folic acid")
    record = httpx.get(f"{server}/api/articles/990000067").json()
    for section in record["abstract"]:
        expect(page.locator("#article")).to_contain_text(section["text"])
    expect(page.locator(".notice")).to_contain_text("Retracted: Example Psychiatry")
    page.locator(".similar li").first.wait_for()
    similar = [int(link.get_attribute("href").split("/")[-1]) for link in page.locator(".similar .map-title a").all()]
    assert similar == asked(server, "similar", pmids=[990000067], limit=10)
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_contain_text("High-dose folic acid")
    shot(page, "article-wide-light")
    page.get_by_role("link", name="Nørrelykke J").click()
    page.wait_for_url(re.compile("strategy="))
    settled(page)
    filters = {"strategy": '"Nørrelykke J"[au]'}
    assert shown(page) == asked(server, question="", filters=filters, limit=20)
    expect(page.get_by_role("button", name="Remove: Author: Nørrelykke J")).to_be_visible()


def test_an_article_that_is_not_there(open_page):
    page = open_page("article/5", expected=("status of 404",))
    expect(page.get_by_role("alert")).to_contain_text("PMID 5 is not in the index")


def test_cite_and_copy(open_page, server):
    page = open_page("?q=990000067")
    settled(page)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Cite").click()
    dialog = page.get_by_role("dialog", name="Cite")
    dialog.get_by_role("radio", name="APA").check()
    body = {"pmids": [990000067], "format": "citation", "style": "apa"}
    expected = httpx.post(f"{server}/api/export", json=body, timeout=60).text.strip()
    expect(dialog.locator("#citation")).to_have_text(expected)
    dialog.get_by_role("button", name="Copy").click()
    expect(dialog.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == expected


def test_quick_filters_and_the_table(open_page, server):
    page = ask(open_page())
    page.get_by_role("button", name="Free full text").click()
    page.wait_for_url(re.compile("free=1"))
    settled(page)
    assert shown(page) == asked(server, question=ASPIRIN, limit=20, filters={"free_full_text": True})
    page.get_by_role("button", name="Table").click()
    page.locator(".studies .finding .role").first.wait_for()
    settled(page)
    rows = httpx.post(
        f"{server}/api/table",
        json={"question": ASPIRIN, "mode": "hybrid", "limit": 20, "filters": {"free_full_text": True}},
        timeout=60,
    ).json()
    findings = [cell.inner_text() for cell in page.locator(".studies .finding").all()]
    assert findings == [row["finding"] or "" for row in rows]
    with page.expect_download() as started:
        page.get_by_role("button", name="Download these rows as CSV").click()
    with Path(started.value.path()).open(newline="") as stream:
        written = list(csv.DictReader(stream))
    assert [(int(row["pmid"]), row["finding"]) for row in written] == [
        (row["pmid"], row["finding"] or "") for row in rows
    ]
    shot(page, "table-wide-light")


def test_what_was_found_stands_beside_the_results(open_page, server):
    page = ask(open_page())
    groups = httpx.post(f"{server}/api/ask", json={"question": ASPIRIN, "mode": "hybrid"}, timeout=60).json()["groups"]
    expect(page.locator("#side li.finding")).to_have_count(len(groups))
    expect(page.locator("#side blockquote").first).to_contain_text(groups[0][0]["text"])
    page.get_by_role("button", name="Answers").click()
    expect(page.locator("#side")).to_be_hidden()
    # That it is off is kept.
    page.goto(f"{server}/?q=sleep")
    settled(page)
    expect(page.locator("#side")).to_be_hidden()


def test_searches_and_collections_last_in_this_browser(open_page, server):
    page = ask(open_page())
    chosen = shown(page)[:2]
    for pmid in chosen:
        page.locator(f"#r{pmid} .tick input").check()
    page.locator("#selection-keep").click()
    page.get_by_role("combobox", name="Name").fill("colon & co")
    page.keyboard.press("Enter")
    expect(page.locator("#told")).to_contain_text("2 articles kept in colon & co")
    page.get_by_role("button", name="Clear", exact=True).click()
    page.goto(server)
    expect(page.locator("#recent li")).to_have_count(1)
    expect(page.locator("#recent a")).to_have_text(ASPIRIN)
    page.get_by_role("link", name="colon & co (2)").click()
    page.wait_for_url(re.compile("kept="))
    settled(page)
    assert set(shown(page)) == set(chosen)
    page.go_back()
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#recent")).to_be_hidden()


def test_an_abstract_that_was_opened_is_open_after_back(open_page):
    page = ask(open_page())
    second = shown(page)[1]
    page.locator(f"#r{second}").get_by_role("button", name="Abstract").click()
    page.get_by_role("button", name="Trial", exact=True).click()
    page.wait_for_url(re.compile("type="))
    settled(page)
    page.go_back()
    settled(page)
    expect(page.locator(f"#r{second} .details")).to_be_visible()


def test_an_index_that_is_not_encoded_shows_a_first_look(open_page, tmp_path):
    from search import Index

    with Index.create(tmp_path / "index", model="builtin") as index:
        index.add(ROOT / "search" / "sample", encode=False)
    held, holds = [], [True]

    def hold(route):
        if holds and "encode_on_demand" not in route.request.post_data_json:
            held.append(route)
        else:
            route.continue_()

    with running_server(tmp_path / "index", cwd=tmp_path) as (address, _):
        page = open_page(base=address)
        page.route("**/api/search", hold)
        page.get_by_role("combobox", name="Your question").fill(ASPIRIN)
        page.keyboard.press("Enter")
        expect(page.locator("#first-look")).to_contain_text("A first look")
        expect(page.locator("#results > li")).to_have_count(20)
        first = shown(page)
        body = {"question": ASPIRIN, "limit": 20}
        assert first == asked(address, **body, encode_on_demand=0)
        page.evaluate("scrollTo(0, 600)")
        holds.clear()
        held[0].continue_()
        # Whoever reads the first list chooses when it goes.
        page.get_by_role("button", name="The ranked list is there").click(timeout=120_000)
        expect(page.locator("#first-look")).to_be_empty()
        settled(page)
        ranked = shown(page)
        # Further down, the next search has encoded more.
        assert ranked[:5] == asked(address, **body)[:5] and ranked != first


def test_a_question_before_the_server_has_said_what_it_can_do_is_asked_once(open_page):
    page = open_page()
    held, asked_for = [], []
    page.route("**/api/about", lambda route: held.append(route))
    page.on("request", lambda request: request.url.endswith("/api/search") and asked_for.append(request.post_data_json))
    page.reload(wait_until="domcontentloaded")
    page.locator("body").wait_for()
    while not held:
        page.wait_for_timeout(50)
    page.get_by_role("combobox", name="Your question").fill(ASPIRIN)
    page.keyboard.press("Enter")
    page.wait_for_timeout(300)
    assert asked_for == []
    held[0].continue_()
    settled(page)
    assert len([body for body in asked_for if "evidence" not in body]) == 1


def test_the_page_is_small():
    files = [path for path in (ROOT / "search" / "web" / "page").iterdir() if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 150_000


def test_what_is_typed_is_completed(open_page, server):
    page = open_page()
    page.get_by_role("combobox", name="Your question").press_sequentially("colorectal n")
    option = page.get_by_role("option").first
    expect(option).to_contain_text("Colorectal Neoplasms")
    page.keyboard.press("ArrowDown")
    expect(option).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("q=Colorectal"))
    settled(page)
    expect(page.locator("#suggestions")).to_be_hidden()


def test_a_value_is_found_within_a_filter(open_page):
    page = ask(open_page())
    page.locator("#facet-mesh ~ button").click()
    page.get_by_label("Find in MeSH heading").press_sequentially("malari")
    page.locator("label.option", has_text="Malaria").first.click()
    page.wait_for_url(re.compile("mesh=Malaria"))
    settled(page)
    expect(page.get_by_role("button", name=re.compile("Remove: Malaria"))).to_be_visible()


def test_sorted_by_date(open_page, server):
    page = ask(open_page())
    page.get_by_label("Sort by").select_option("Newest first")
    page.wait_for_url(re.compile("sort=date"))
    settled(page)
    assert shown(page) == asked(server, question=ASPIRIN, limit=20, sort="date")


def test_what_else_was_searched_is_said_and_can_be_left_out(open_page):
    page = open_page()

    def answer(route):
        body = route.request.post_data_json
        if body.pop("exact", False):
            return route.continue_(post_data=body)
        answer = route.fetch()
        hits = answer.json()
        return route.fulfill(json=[hit | {"also_searched": ["myocardial infarction (for MI)"]} for hit in hits])

    page.route("**/api/search", answer)
    ask(page, "aspirin after MI")
    expect(page.locator("#also")).to_contain_text("Also searched: myocardial infarction (for MI).")
    page.get_by_role("button", name="Search only what was typed").click()
    page.wait_for_url(re.compile("exact=1"))
    expect(page.locator("#also")).to_be_empty()


def test_where_results_are_probably_not_about_the_question_it_is_said(open_page):
    page = open_page()

    def answer(route):
        hits = route.fetch().json()
        return route.fulfill(json=[hit | ({"near_enough": False} if hit["rank"] > 2 else {}) for hit in hits])

    page.route("**/api/search", answer)
    ask(page)
    expect(page.locator(".result.far")).to_have_count(1)
    expect(page.locator("#results > li").nth(2)).to_have_class(re.compile("far"))
    page.unroute("**/api/search")
    page.route(
        "**/api/search",
        lambda route: route.fulfill(json=[hit | {"near_enough": False} for hit in route.fetch().json()]),
    )
    page.reload()
    expect(page.locator("#summary")).to_have_text("Nothing is near enough to the question. The nearest are:")


def test_an_answer_of_a_language_model_is_written_with_its_checks(open_page, built_demo, tmp_path):
    with llm_server() as model:
        settings = {"language_model": {"url": model.url, "model": "small"}}
        (tmp_path / "config.yml").write_text(yaml.safe_dump(settings))
        with running_server(built_demo, cwd=tmp_path) as (address, _):
            found = httpx.post(f"{address}/api/ask", json={"question": ASPIRIN, "limit": 10}, timeout=60).json()
            finding = found["groups"][0][0]["text"]
            model.says(f"{finding.rstrip('.')} [1]. Bananas are yellow [1].")
            page = ask(open_page(base=address))
            page.get_by_role("button", name="Write an answer with small").click()
            expect(page.locator(".sources li").first).to_be_visible()
            expect(page.locator(".written p").first).to_contain_text(finding)
            expect(page.locator(".doubtful").last).to_have_text("Bananas are yellow.")
            expect(page.locator(".written .badge").last).to_contain_text("says nothing near this")
