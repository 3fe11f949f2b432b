"""The part of the Python API that changes an index."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from search.article import Article, Deletion
from search.opened import OpenedIndex
from search.storage import backend

if TYPE_CHECKING:
    from search.ingest.pipeline import IngestReport, Progress
    from search.ingest.published_vectors import ImportReport
    from search.pubmed.subset import Part
    from search.pubmed.sync import SyncReport
    from search.pubmed.sync_plan import SyncPlan
    from search.storage.backend import Writer

__all__ = ["WritableIndex"]


class WritableIndex(OpenedIndex):
    """An index that articles are added to and taken from."""

    def add(
        self,
        sources: str | Path | Article | Iterable[str | Path] | Iterable[Article | Deletion],
        *,
        strict: bool = False,
        restore: bool = False,
        again: bool = False,
        encode: bool = True,
        progress: Callable[[Progress], None] | None = None,
    ) -> IngestReport:
        """Add articles: files, folders or `-` (standard input), or Article objects.

        The newest version of a PMID wins, and what was deleted stays deleted unless `restore` is set. What is there
        already is not encoded again; a file that was read to its end before is skipped unless `again` is set. Without
        `encode` articles are only stored. `strict` stops at the first record that cannot be used. Raises
        IndexLockedError if another process is writing, StoreError if the disk is full; what was committed stays.

        >>> from search import Article, Index
        >>> from search.article import AbstractSection
        >>> index = Index.open("indexes/demo")
        >>> abstract = (AbstractSection("It helped a little."),)
        >>> article = Article(pmid=990999999, title="Honey for cough", abstract=abstract)
        >>> index.add(article).counts["added"]
        1
        >>> index.close()
        """
        from search.ingest import pipeline as ingest

        encoder = self.encoder if encode else None
        paths, articles = _sort_out(sources)
        with self._writing() as writer:
            if articles is not None:
                return ingest.add_articles(writer, encoder, articles, restore=restore, progress=progress)
            return ingest.add_files(
                writer, encoder, paths, strict=strict, restore=restore, again=again, progress=progress
            )

    def add_pubmed(
        self,
        query: str,
        *,
        limit: int | None = None,
        encode: bool = True,
        progress: Callable[[Progress], None] | None = None,
    ) -> IngestReport:
        """Add the articles that PubMed finds for a query in its own language, `limit` of them at most.

        Asks NCBI's E-utilities; an API key is taken from the environment variable NCBI_API_KEY. A run that was
        interrupted goes on when the same query is given again. Raises QueryError if the query is empty, SourceError
        if NCBI does not answer; what was committed stays.

        >>> index = Index.open("indexes/demo")
        >>> report = index.add_pubmed("aspirin[majr] AND colorectal neoplasms[mh]", limit=500)  # doctest: +SKIP
        >>> index.close()
        """
        from search.files import cache_folder
        from search.pubmed.add_query import add_query
        from search.pubmed.eutils import Eutils

        encoder = self.encoder if encode else None
        settings = self.config.eutils
        eutils = Eutils(
            settings.url,
            tool=settings.tool,
            email=settings.email,
            api_key=os.environ.get("NCBI_API_KEY"),
            cache=cache_folder(),
            timeout=settings.timeout,
        )
        try:
            with self._writing() as writer:
                return add_query(writer, encoder, eutils, query, limit=limit, progress=progress)
        finally:
            eutils.close()

    def sync(
        self,
        folder: str | Path | None = None,
        *,
        part: Part | None = None,
        change_part: bool = False,
        accept_removals: bool = False,
        keep: bool = False,
        encode: bool = True,
        progress: Callable[[Progress], None] | None = None,
    ) -> SyncReport:
        """Bring the index to NLM's state: apply the baseline and update files it has not had, in NLM's order.

        `folder` holds the files; without it they are downloaded from the address in the config, checked, and removed
        once they were applied unless `keep` is set. `part` keeps a part of PubMed (`search.pubmed.Part`) and is
        remembered; another one later is refused unless `change_part` is set. A run that was stopped goes on where it
        was. Raises SourceError if a file cannot be had or read, IndexFolderError if another part is kept, or if a new
        year's baseline would remove very many articles and `accept_removals` is not set.

        >>> from search.pubmed import Part
        >>> index = Index.open("indexes/demo")
        >>> report = index.sync(part=Part(since=2015, mesh=("Asthma",)))  # doctest: +SKIP
        >>> index.close()
        """
        from search.pubmed.origin import nlm_origin
        from search.pubmed.sync import synchronize

        encoder = self.encoder if encode else None
        with nlm_origin(self.config.nlm, self.address, folder, keep=keep) as origin, self._writing() as writer:
            return synchronize(
                writer,
                encoder,
                origin,
                part=part,
                change_part=change_part,
                accept_removals=accept_removals,
                progress=progress,
            )

    def plan_sync(
        self, folder: str | Path | None = None, *, part: Part | None = None, change_part: bool = False
    ) -> SyncPlan:
        """Return what `sync` would do, how many records it would read and how long it would take.

        >>> index = Index.open("indexes/demo")
        >>> print(index.plan_sync().records)  # doctest: +SKIP
        >>> index.close()
        """
        from search.pubmed.origin import preview

        return preview(self.config, self.address, folder, part=part, change_part=change_part)

    def encode(
        self,
        *,
        ray: str | None = None,
        workers: int | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> IngestReport:
        """Encode the articles that were stored without a vector of their text.

        `ray` is the address of a Ray cluster that does it (`auto`, `ray://host:10001`, or `local` for one on this
        machine), a worker for each of its GPUs, or else `workers` of them. Raises ConfigError if there is none.

        >>> index = Index.open("indexes/demo")
        >>> index.encode().encoded
        0
        >>> index.close()
        """
        from search.ingest import pipeline as ingest

        encoder = self.encoder
        if ray is None:
            with self._writing() as writer:
                return ingest.encode_stale(writer, encoder, progress=progress)
        from search.ingest.ray_cluster import encode_on_cluster, ray_cluster
        from search.models import load_encoder

        load = partial(load_encoder, self.manifest.model, precision=self.config.precision)
        with ray_cluster(ray) as cluster, self._writing() as writer:
            return encode_on_cluster(writer, cluster, load, workers=workers, progress=progress)

    def import_vectors(
        self,
        paths: Sequence[str | Path],
        *,
        pmids: str | Path | None = None,
        model: str | None = None,
        replace: bool = False,
        progress: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> ImportReport:
        """Take published vectors instead of encoding, for articles that are there and have none of their text.

        `paths` are `.npy` files, or folders of NCBI's `embeds_chunk_N.npy` with `pmids_chunk_N.json`; `pmids` names the
        file with the PMIDs of any other `.npy`, `model` the model that made them. Raises SourceError if a file cannot
        be used, IndexMismatchError if model or dimension is not the index's; then nothing is written.

        >>> index = Index.open("indexes/demo")
        >>> report = index.import_vectors(["embeddings"], model="medcpt")  # doctest: +SKIP
        >>> index.close()
        """
        from search.ingest.published_vectors import import_vectors

        with self._writing() as writer:
            return import_vectors(
                writer, self.manifest, paths, pmids=pmids, model=model, replace=replace, progress=progress
            )

    def delete(self, pmids: Iterable[int]) -> int:
        """Delete articles and return how many there were. They stay deleted whatever is added later.

        Raises QueryError for a number that is no PMID.

        >>> index = Index.open("indexes/demo")
        >>> index.delete([990000001])
        1
        >>> index.get(990000001) is None
        True
        >>> index.close()
        """
        from search.retrieval.filters import check_pmids

        wanted = set(pmids)
        check_pmids(wanted)
        with self._writing() as writer:
            deleted = writer.store.delete(wanted)
            writer.merge_if_due()
            return deleted

    def copy_to(self, target: str | Path, *, progress: Callable[[float], None] | None = None) -> int:
        """Copy the index to another address, a folder or a database, and return how many articles were copied.

        Nothing is encoded; deletions, ledger and saved searches come along. A copy that was interrupted goes on when
        it is begun again, and what was written to this index meanwhile is copied in the end; the target can be opened
        from then on. `progress` is told the share that is done. Raises IndexFolderError if the target holds anything
        but an unfinished copy of this index.

        >>> index = Index.open("indexes/demo")
        >>> index.copy_to("indexes/second") == index.status().articles
        True
        >>> index.close()
        """
        from search.storage.copy import copy_index

        return copy_index(self._reader, target, self.config, progress)

    def merge(self) -> None:
        """Bring the derived parts up to the last change now instead of when it is due.

        >>> index = Index.open("indexes/demo")
        >>> index.merge()
        >>> index.status().pending
        0
        >>> index.close()
        """
        with self._writing() as writer:
            writer.merge()

    @contextmanager
    def _writing(self) -> Iterator[Writer]:
        writer = backend.open_writer(self.address, self.config)
        try:
            yield writer
        except BaseException:
            writer.close(wait=False)
            raise
        writer.close()


def _sort_out(
    sources: str | Path | Article | Iterable[str | Path] | Iterable[Article | Deletion],
) -> tuple[list[str | Path], Iterable[Article | Deletion] | None]:
    """Tell paths from articles: exactly one of the two is given."""
    if isinstance(sources, str | Path):
        return [sources], None
    if isinstance(sources, Article | Deletion):
        return [], [sources]
    rest = iter(sources)
    first = next(rest, None)
    if first is None:
        return [], None
    if isinstance(first, str | Path):
        return [first, *rest], None  # type: ignore[list-item]
    return [], _chain(first, rest)


def _chain(first: object, rest: Iterator[object]) -> Iterator[Article | Deletion]:
    yield _article(first)
    for item in rest:
        yield _article(item)


def _article(item: object) -> Article | Deletion:
    if not isinstance(item, Article | Deletion):
        raise TypeError(f"Index.add takes paths or Article objects, not {type(item).__name__}")
    return item
