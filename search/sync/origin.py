"""Where files come from, as the config and the user say, and what a sync from there would do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from search.config import NlmConfig
from search.sources.nlm_files import FileFolder, FileServer, Origin
from search.store import NlmState, StoreReader
from search.sync.part import Part, chosen_part
from search.sync.plan import SyncPlan, make_plan

__all__ = ["nlm_origin", "preview"]


@contextmanager
def nlm_origin(config: NlmConfig, index: Path, folder: str | Path | None, *, keep: bool = False) -> Iterator[Origin]:
    """Give the folder that files lie in, or else the server that the config names."""
    if folder is not None:
        yield FileFolder(Path(folder))
        return
    downloads = Path(config.downloads) if config.downloads else index / "downloads"
    server = FileServer(config.url, downloads, keep=keep, timeout=config.timeout)
    try:
        yield server
    finally:
        server.close()


def preview(
    config: NlmConfig,
    index: Path,
    folder: str | Path | None,
    *,
    part: Part | None = None,
    change_part: bool = False,
) -> SyncPlan:
    """Return what a sync would do to an index, which need not be there yet. Nothing is written or downloaded."""
    path = index / "articles.db"
    store = StoreReader(path) if path.exists() else None
    try:
        state = NlmState(store)
        chosen = chosen_part(state.part(), part, nothing_applied=not state.files(), change=change_part)
        with nlm_origin(config, index, folder) as origin:
            return make_plan(origin, state, chosen)
    finally:
        if store is not None:
            store.close()
