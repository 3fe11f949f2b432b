"""Where files come from, as the config and the user say, and what a sync from there would do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from search.config import Config, NlmConfig
from search.pubmed.nlm_files import FileFolder, FileServer, Origin
from search.pubmed.subset import Part, chosen_part
from search.pubmed.sync_plan import SyncPlan, make_plan
from search.storage.backend import Address, downloads_folder, ledger_state

__all__ = ["nlm_origin", "preview"]


@contextmanager
def nlm_origin(config: NlmConfig, index: Address, folder: str | Path | None, *, keep: bool = False) -> Iterator[Origin]:
    """Give the folder that files lie in, or else the server that the config names."""
    if folder is not None:
        yield FileFolder(Path(folder))
        return
    downloads = Path(config.downloads) if config.downloads else downloads_folder(index)
    server = FileServer(config.url, downloads, keep=keep, timeout=config.timeout)
    try:
        yield server
    finally:
        server.close()


def preview(
    config: Config,
    index: Address,
    folder: str | Path | None,
    *,
    part: Part | None = None,
    change_part: bool = False,
) -> SyncPlan:
    """Return what a sync would do to an index, which need not be there yet. Nothing is written or downloaded."""
    with ledger_state(index, config) as state:
        chosen = chosen_part(state.part(), part, nothing_applied=not state.files(), change=change_part)
        with nlm_origin(config.nlm, index, folder) as origin:
            return make_plan(origin, state, chosen)
