"""NLM's baseline and update files: what there is, on its server or in a folder, and getting one whole and checked."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote

import msgspec

from search.errors import SourceError
from search.pubmed.download import download
from search.pubmed.http import Patience, TransientError, ask, check_status, make_client, persist

__all__ = ["FileFolder", "FileServer", "NlmFile", "Origin", "fetch_ahead", "parse_listing"]

_NAME = re.compile(r"pubmed(\d\d)n(\d{4,5})\.xml(?:\.gz)?", re.ASCII)
_LINK_BEGINS = re.compile(r"<a\s", re.IGNORECASE)
_HREF = re.compile(r"""\bhref\s*=\s*["']([^"']*)["']""", re.IGNORECASE)
_LINK_ENDS = re.compile(r"</a>([^<\n]*)", re.IGNORECASE)
_SIZE = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)\s*([KMGT]?)\s*$", re.ASCII)
_MD5 = re.compile(r"\b[0-9a-fA-F]{32}\b")


class NlmFile(msgspec.Struct, frozen=True, kw_only=True):
    """One of NLM's files. `stamp` changes when the file does; `size` is in bytes, rounded as a listing rounds it."""

    name: str
    baseline: bool
    size: int = 0
    stamp: str = ""

    @property
    def year(self) -> int:
        """The two digits of the production year."""
        return int(self._parts[0])

    @property
    def number(self) -> int:
        """The number in its year; update files are numbered on from the baseline."""
        return int(self._parts[1])

    @property
    def sequence(self) -> int:
        """The place in NLM's order, as `search.formats.base.file_sequence` has it."""
        return self.year * 100_000 + self.number

    @property
    def _parts(self) -> tuple[str, str]:
        match = _NAME.fullmatch(self.name)
        if match is None:
            raise SourceError(f"{self.name} is not the name of an NLM file")
        return match[1], match[2]


class Origin(Protocol):
    """A source of NLM's files."""

    #: What messages call it.
    name: str

    def list_files(self) -> list[NlmFile]:
        """Return the files in NLM's order. Raises SourceError if there are none or they cannot be listed."""
        ...

    def md5(self, file: NlmFile) -> str:
        """Return the MD5 that a file should have, in hexadecimal."""
        ...

    def fetch(self, file: NlmFile, stop: threading.Event) -> tuple[Path, str]:
        """Return a path to the whole file, and its MD5, which is the one it should have. Raises SourceError."""
        ...

    def release(self, path: Path) -> None:
        """Take note that a file is no longer needed."""
        ...


class FileServer:
    """NLM's server, or a mirror: folders `baseline/` and `updatefiles/` below a URL, listed as HTML.

    Files are downloaded into a folder: as `.part` until they are whole and their MD5 is right. A download that broke
    off is resumed where it was, in this process or the next.
    """

    def __init__(
        self,
        url: str,
        downloads: Path,
        *,
        keep: bool = False,
        timeout: float = 60.0,
        patience: Patience | None = None,
    ) -> None:
        self.name = url
        self._url = url if url.endswith("/") else f"{url}/"
        self._downloads = downloads
        self._keep = keep
        self._patience = patience or Patience()
        # A .gz file is downloaded unchanged: a server may declare gzip as its encoding.
        self._client = make_client(timeout, headers={"Accept-Encoding": "identity"}, redirects=True)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def list_files(self) -> list[NlmFile]:
        """Return the files whose MD5 is there too; one without is still being put there, and ends the list."""
        files: list[NlmFile] = []
        for folder in ("baseline", "updatefiles"):
            page = persist(self._url + folder, lambda folder=folder: self._page(folder), self._patience)  # type: ignore[misc]
            files += parse_listing(page, baseline=folder == "baseline", source=self._url + folder)
        if not files:
            raise SourceError(f"{self.name} lists no files of NLM's with their MD5; check `nlm: url:` in config.yml")
        return sorted(files, key=lambda file: file.sequence)

    def _page(self, folder: str) -> str:
        response = ask(self._client, "GET", f"{self._url}{folder}/")
        check_status(response)
        page = response.text
        lowered = page.lower()
        is_listing = ".xml" in lowered or "index of" in lowered or "directory listing" in lowered
        if not is_listing or ("<html" in lowered and "</html" not in lowered):
            raise TransientError("the answer is not a complete directory listing")
        return page

    def md5(self, file: NlmFile) -> str:
        """Return what NLM's .md5 file says."""
        return persist(f"{file.name}.md5", lambda: self._read_md5(file), self._patience)

    def _read_md5(self, file: NlmFile) -> str:
        response = ask(self._client, "GET", f"{self._address(file)}.md5")
        check_status(response)
        return _parse_md5(response.text, file.name)

    def _address(self, file: NlmFile) -> str:
        return f"{self._url}{'baseline' if file.baseline else 'updatefiles'}/{file.name}"

    def fetch(self, file: NlmFile, stop: threading.Event) -> tuple[Path, str]:
        """Download a file, or the rest of it, and check its MD5."""
        patience = self._patience
        if patience.sleep is time.sleep:
            patience = msgspec.structs.replace(patience, sleep=stop.wait)
        with _reporting_failures():
            self._downloads.mkdir(parents=True, exist_ok=True)
            return persist(file.name, lambda: self._fetch(file, stop), patience)

    def _fetch(self, file: NlmFile, stop: threading.Event) -> tuple[Path, str]:
        if stop.is_set():
            raise SourceError(f"{file.name}: stopped")
        expected = self._read_md5(file)
        path = self._downloads / file.name
        if path.exists() and _md5_of(path) == expected:
            return path, expected
        part = self._downloads / f"{file.name}.part"
        download(self._client, self._address(file), part, stop, size=file.size)
        actual = _md5_of(part)
        if actual != expected:
            part.unlink()
            raise TransientError(f"the download has MD5 {actual} and NLM says {expected}")
        part.replace(path)
        return path, expected

    def release(self, path: Path) -> None:
        """Remove a file that was applied, unless files are kept."""
        if not self._keep:
            with _reporting_failures():
                path.unlink(missing_ok=True)


@contextmanager
def _reporting_failures() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SourceError(
            f"{error.filename}: {error.strerror}; what was downloaded and applied is kept; "
            "run the same command again to continue"
        ) from error


class FileFolder:
    """Files that are on disk already: in a folder, or in its subfolders `baseline` and `updatefiles` as NLM has them.

    Where a .md5 file lies beside one, it is checked. In a folder without subfolders the files that are numbered from
    1 without a gap count as baseline.
    """

    def __init__(self, folder: Path) -> None:
        self.name = str(folder)
        self._folder = folder

    def list_files(self) -> list[NlmFile]:
        """Return the files by their names; other files in the folder are ignored."""
        try:
            flat = {path.name: path for path in self._folder.iterdir() if _NAME.fullmatch(path.name)}
        except OSError as error:
            raise SourceError(f"{self._folder}: {error.strerror}; --from takes a folder of NLM's files") from error
        files = _first_run([_on_disk(path, baseline=False) for path in flat.values()])
        for place in ("baseline", "updatefiles"):
            for path in sorted((self._folder / place).glob("*")):
                if _NAME.fullmatch(path.name) and path.name not in flat:
                    files.append(_on_disk(path, baseline=place == "baseline"))
        if not files:
            raise SourceError(f"{self._folder} holds no files of NLM's (pubmed26n0001.xml.gz and the like)")
        return sorted(files, key=lambda file: file.sequence)

    def _path(self, file: NlmFile) -> Path:
        candidates = [self._folder / place / file.name for place in ("", "baseline", "updatefiles")]
        return next((path for path in candidates if path.exists()), candidates[0])

    def md5(self, file: NlmFile) -> str:
        """Return the MD5 in the .md5 file beside it, or compute it."""
        path = self._path(file)
        beside = path.with_name(f"{file.name}.md5")
        try:
            if not beside.exists():
                return _md5_of(path)
            return _parse_md5(beside.read_bytes().decode("ascii", "replace"), file.name)
        except OSError as error:
            raise SourceError(f"{path}: {error.strerror}") from error

    def fetch(self, file: NlmFile, stop: threading.Event) -> tuple[Path, str]:
        """Check the file and return where it is."""
        path = self._path(file)
        expected = self.md5(file)
        try:
            actual = _md5_of(path)
        except OSError as error:
            raise SourceError(f"{path}: {error.strerror}") from error
        if actual != expected:
            raise SourceError(f"{path} has MD5 {actual} and {file.name}.md5 says {expected}; download the file again")
        return path, expected

    def release(self, path: Path) -> None:
        """Do nothing: the files are the user's."""


def parse_listing(page: str, *, baseline: bool, source: str) -> list[NlmFile]:
    """Return the files that a folder listing in HTML names, each only if its MD5 is listed as well.

    Names are used as file names, so one with a path in it raises SourceError. Links to anything else are passed over.
    """
    sizes: dict[str, str] = {}
    for link, after in _links(page):
        name = unquote(unescape(link)).split("?")[0].split("#")[0]
        if not re.search(r"\.xml(\.gz)?(\.md5)?$", name, re.IGNORECASE):
            continue
        if "/" in name or "\\" in name or ".." in name:
            raise SourceError(f"{source} lists a file with a path in its name ({name!r}); it is not used")
        sizes[name] = " ".join(after.split())
    names = sorted(name for name in sizes if _NAME.fullmatch(name))
    complete = []
    for name in names:
        if f"{name}.md5" not in sizes:
            break
        complete.append(NlmFile(name=name, baseline=baseline, size=_bytes(sizes[name]), stamp=sizes[name]))
    return complete


def _links(page: str) -> Iterator[tuple[str, str]]:
    """Yield where each link leads, and what stands behind it on its line; in a time that grows with the page."""
    for part in _LINK_BEGINS.split(page)[1:]:
        tag, _, rest = part.partition(">")
        href, end = _HREF.search(tag), _LINK_ENDS.search(rest)
        if href and end:
            yield href[1], end[1]


def fetch_ahead(
    origin: Origin, files: Iterable[NlmFile], ahead: int = 2
) -> Generator[tuple[NlmFile, Path, str], None, None]:
    """Yield files in order with their paths and MD5s, while up to `ahead` next ones are fetched, one at a time."""
    stop = threading.Event()
    waiting: deque[tuple[NlmFile, Future[tuple[Path, str]]]] = deque()
    rest = iter(files)
    executor = ThreadPoolExecutor(1, thread_name_prefix="download")

    def top_up() -> None:
        while len(waiting) < ahead and (file := next(rest, None)) is not None:
            waiting.append((file, executor.submit(origin.fetch, file, stop)))

    try:
        top_up()
        while waiting:
            file, future = waiting.popleft()
            path, md5 = future.result()
            top_up()
            yield file, path, md5
    finally:
        stop.set()
        executor.shutdown(wait=True, cancel_futures=True)


def _first_run(files: list[NlmFile]) -> list[NlmFile]:
    """Mark the files numbered from 1 without a gap as the baseline, year by year."""
    there = {(file.year, file.number) for file in files}
    ends: dict[int, int] = {}
    for year in {file.year for file in files}:
        end = 0
        while (year, end + 1) in there:
            end += 1
        ends[year] = end
    return [msgspec.structs.replace(file, baseline=file.number <= ends[file.year]) for file in files]


def _on_disk(path: Path, *, baseline: bool) -> NlmFile:
    try:
        status = path.stat()
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from error
    return NlmFile(
        name=path.name, baseline=baseline, size=status.st_size, stamp=f"{status.st_size} {status.st_mtime_ns}"
    )


def _parse_md5(text: str, name: str) -> str:
    match = _MD5.search(text)
    named = _NAME.search(text)
    if match is None or (named and named[0] != name):
        raise TransientError(f"{name}.md5 holds no MD5 of {name}")
    return match[0].lower()


def _md5_of(path: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _bytes(listed: str) -> int:
    """Return the bytes that a listing's `20M` stands for; 0 if it is not a size."""
    match = _SIZE.search(listed[-40:])
    return int(float(match[1]) * 1024 ** " KMGT".index(match[2] or " ")) if match else 0
