"""The page in Chromium: from the answer's last byte to the first results drawn, and to the sentences.

Each question is asked by the address `/?q=...` of a new page, as a bookmark does, and by typing in an open one.
The time is from `responseEnd` of the request for the hits to the end of the frame that shows the first of them.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

from playwright.sync_api import Page, sync_playwright

from scripts.benchmarks.timing import report
from scripts.screenshots import serving

QUESTIONS = (
    "do calcium channel blockers cause cancer?",
    "beta blockers in chronic heart failure",
    "weight gain with olanzapine or risperidone",
    "does hormone replacement prevent heart disease?",
    "statins and stroke",
    "treatment of acute migraine in the emergency room",
)

#: Notes when the first of the list and its first sentence are on the screen: after the frame that draws them.
WATCH = """
() => {
  const seen = (name) => requestAnimationFrame(() => setTimeout(() => performance.mark(name)));
  let first = null;
  const look = () => {
    const item = document.querySelector("#results > .result");
    if (item && item !== first) { first = item; seen("drawn"); }
    if (item?.querySelector(".evidence") && !item.told) { item.told = true; seen("sentence"); }
  };
  const start = () =>
    new MutationObserver(look).observe(document.getElementById("results"), { childList: true, subtree: true });
  if (document.getElementById("results")) start(); else addEventListener("DOMContentLoaded", start);
}
"""
TIMES = """
() => {
  const last = (name) => performance.getEntriesByName(name, "mark").at(-1)?.startTime;
  const drawn = last("drawn"), sentence = last("sentence");
  const hits = performance.getEntriesByType("resource").filter((entry) => entry.name.endsWith("/api/search")
    && entry.responseEnd && entry.responseEnd <= drawn);
  const answer = hits.at(-1);
  return {
    answer: answer.responseEnd - answer.startTime, drawn: drawn - answer.responseEnd, sentence: sentence - drawn };
}
"""


def main() -> None:
    """Measure every question as a page that is opened and as one that is typed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--index", type=Path, required=True, help="an index that is encoded")
    parser.add_argument("--slow", type=float, default=1.0, help="slow the processor of the page down so many times")
    parser.add_argument("--json", help="write the figures to this file too")
    arguments = parser.parse_args()
    rows = []
    with serving(str(arguments.index.resolve())) as address, sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium") or shutil.which("google-chrome"),
            args=["--disable-gpu", *(["--no-sandbox"] if os.geteuid() == 0 else [])],
        )
        for place, question in enumerate(QUESTIONS):
            page = browser.new_page(viewport={"width": 1366, "height": 860}, bypass_csp=True)
            page.add_init_script(f"({WATCH})()")
            page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": arguments.slow})
            page.goto(f"{address}?q={quote_plus(question)}")
            rows.append({"question": question, "how": "opened", **times(page)})
            page.evaluate("performance.clearMarks(); performance.clearResourceTimings()")
            typed = QUESTIONS[place - 1]
            page.fill("#question", typed)
            page.keyboard.press("Enter")
            rows.append({"question": typed, "how": "typed", **times(page)})
            page.close()
        browser.close()
    report("page", {how: _figures([row for row in rows if row["how"] == how]) for how in ("opened", "typed")})


def _figures(rows: list[dict[str, Any]]) -> dict[str, float]:
    figures = {}
    for name in ("answer", "drawn", "sentence"):
        values = [row[name] for row in rows]
        figures |= {f"{name}_ms": round(statistics.median(values)), f"{name}_most_ms": round(max(values))}
    return figures


def times(page: Page) -> dict[str, float]:
    """Return the milliseconds of the answer, from it to the first results, and from these to the first sentence."""
    page.wait_for_function("performance.getEntriesByName('sentence', 'mark').length > 0", timeout=120_000)
    page.wait_for_load_state("networkidle")
    found: dict[str, float] = page.evaluate(TIMES)
    return found


if __name__ == "__main__":
    main()
