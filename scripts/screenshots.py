"""Take the pictures of the page in docs/images, of the sample records.

Needs Chromium (scripts/browser) and Playwright. Run it in the environment of scripts/environment.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from search import Index

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
QUESTION = "?q=does+aspirin+lower+the+risk+of+bowel+cancer%3F"

#: Name, what of the page, width, height, light or dark.
PICTURES = (
    ("results", f"{QUESTION}&mode=hybrid", 1366, 860, "light"),
    ("map", f"{QUESTION}&side=map", 1366, 860, "dark"),
    ("article", "article/990000067", 1280, 800, "light"),
)


def main() -> None:
    """Make an index of the sample in a temporary folder, serve it, and take every picture."""
    with tempfile.TemporaryDirectory() as folder:
        address = str(Path(folder) / "sample")
        with Index.create(address, model="builtin") as index:
            index.add(ROOT / "search" / "sample")
            index.merge()
        with serving(address) as page:
            take(page)


@contextmanager
def serving(index: str) -> Iterator[str]:
    """Serve an index with the default configuration, and give the address of its page."""
    command = [sys.executable, "-m", "search", "serve", "--index", index, "--port", "0"]
    with tempfile.TemporaryDirectory() as empty:
        server = subprocess.Popen(
            command, cwd=empty, env=os.environ | {"PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, text=True
        )
        try:
            assert server.stderr is not None
            found = re.search(r"http://localhost:\d+/", server.stderr.readline())
            if found is None:
                sys.exit(f"the server did not start: {server.stderr.read()}")
            yield found[0]
        finally:
            server.terminate()
            server.communicate(timeout=30)


def take(address: str) -> None:
    """Take the pictures of the page at an address."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=chromium,
            args=["--disable-gpu", "--disable-lcd-text", *(["--no-sandbox"] if os.geteuid() == 0 else [])],
        )
        for name, path, width, height, scheme in PICTURES:
            context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
            page = context.new_page()
            page.goto(f"{address}{path}")
            wait(page, path)
            page.screenshot(path=IMAGES / f"{name}.png")
            context.close()
        browser.close()


def wait(page: Page, path: str) -> None:
    """Wait until everything that the page asks for is there."""
    if path.startswith("article/"):
        page.locator("#similar li").first.wait_for()
    else:
        page.locator("body:not([aria-busy]) #years svg").wait_for(state="attached")
        page.wait_for_timeout(300)


if __name__ == "__main__":
    main()
