"""The Python API: an index that articles are added to and found in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import msgspec

from search.article import TEXT_RULE, Article
from search.config import Config
from search.errors import IndexFolderError, IndexMismatchError
from search.finding import SearchableIndex
from search.retrieval.engine import Engine
from search.retrieval.mesh_tree import MeshTree
from search.storage import backend
from search.storage.manifest import Manifest
from search.writing import WritableIndex

if TYPE_CHECKING:
    from search.models import Encoder

__all__ = ["Index", "Status"]


class NlmFiles(msgspec.Struct, frozen=True, kw_only=True):
    """What an index has of NLM's files: the part of PubMed it keeps, how many were applied, the last and when (UTC)."""

    part: str
    applied: int
    last: str
    last_applied: str


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What an index holds: numbers of articles, `stale` ones without a vector of their text, and so on.

    `files` counts what `add` read; `nlm` is None where `sync` has applied nothing.
    """

    folder: str
    articles: int
    vectors: int
    stale: int
    deleted: int
    pending: int
    generation: int
    change: int
    model: str
    fingerprint: str
    dimension: int
    text_rule: str
    stored_vectors: str
    vector_index: str
    created: str
    bytes: dict[str, int]
    files: int
    incomplete_files: list[str]
    nlm: NlmFiles | None


class Index(SearchableIndex, WritableIndex):
    """Articles that are found by meaning, in a folder or in a PostgreSQL database.

    Reading is safe from several threads and while another process writes. Use it as a context manager, or `close` it.

    >>> from search import Index
    >>> with Index.open("indexes/demo") as index:
    ...     hits = index.search("does aspirin lower the risk of bowel cancer?", limit=3)
    >>> [hit.rank for hit in hits]
    [1, 2, 3]
    """

    def __init__(self, address: str | Path, config: Config) -> None:
        self.address = address
        self.config = config
        self._reader = backend.open_reader(address, config)
        self._encoder: Encoder | None = None
        self._engine = Engine(MeshTree(config.mesh_tree) if config.mesh_tree else None)
        if self.manifest.copy_of is not None:
            self.close()
            raise IndexFolderError(
                f"{self.name} is an unfinished copy of {self.manifest.copy_of}; give the command again that began it"
            )
        if self.manifest.text_rule != TEXT_RULE:
            self.close()
            raise IndexMismatchError(
                f"{self.name} was made with the text rule {self.manifest.text_rule} and this program uses {TEXT_RULE}; "
                "make a new index, or use the version of the program that made it"
            )

    # Opening and closing -------------------------------------------------------------------------------------------

    @classmethod
    def open(cls, address: str | Path, *, model: str | None = None, config: Config | None = None) -> Index:
        """Open an index: a folder, or a database (`postgresql://user@host/database`).

        `model`: refuse the index unless it was made with this one. Raises IndexFolderError if there is no index,
        IndexMismatchError or IndexCorruptError if its parts do not fit.

        >>> index = Index.open("indexes/demo")
        >>> index.close()
        """
        index = cls(address, config or Config())
        if model is not None:
            try:
                index._check_model(model)
            except BaseException:
                index.close()
                raise
        return index

    @classmethod
    def create(cls, address: str | Path, *, model: str | None = None, config: Config | None = None) -> Index:
        """Make an empty index for the vectors of a model, in a new or empty folder or in a database.

        `model` is `builtin`, a preset, a folder or a hub name; the default is the config's. Raises ModelError if it
        cannot be loaded, IndexFolderError if there is something already.

        >>> index = Index.create("indexes/new", model="builtin")
        >>> index.status().articles
        0
        >>> index.close()
        """
        config = config or Config()
        encoder = _load_encoder(model or config.model, config)
        manifest = Manifest(
            model=model or config.model,
            fingerprint=encoder.fingerprint,
            dimension=encoder.dimension,
            text_rule=TEXT_RULE,
            vectors=config.vectors,
        )
        backend.create(address, manifest, config)
        index = cls(address, config)
        index._encoder = encoder
        return index

    def close(self) -> None:
        """Close the files. An index that is closed twice stays closed."""
        self._reader.close()

    def __enter__(self) -> Index:
        """Return the index itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    @staticmethod
    def exists(address: str | Path, *, config: Config | None = None) -> bool:
        """Whether there is an index at an address.

        >>> Index.exists("indexes/demo"), Index.exists("indexes/nowhere")
        (True, False)
        """
        return backend.exists(address, config)

    @property
    def name(self) -> str:
        """What the index is called in messages: its address, without a password."""
        return self._reader.name

    @property
    def manifest(self) -> Manifest:
        """What the folder is: model, dimension, text rule, generation."""
        return self._reader.manifest

    @property
    def encoder(self) -> Encoder:
        """The model the index was made with, loaded when it is first needed.

        Raises ModelError if it is not there, IndexMismatchError if its weights are no longer the same.
        """
        if self._encoder is None:
            encoder = _load_encoder(self.manifest.model, self.config)
            if encoder.fingerprint != self.manifest.fingerprint:
                raise IndexMismatchError(
                    f"{self.name} was made with {self.manifest.model} ({self.manifest.fingerprint[:12]}) and the "
                    f"model of that name is another one now ({encoder.fingerprint[:12]}); make a new index, or put "
                    "the model back"
                )
            self._encoder = encoder
        return self._encoder

    @encoder.setter
    def encoder(self, encoder: Encoder) -> None:
        """Use an encoder that is there already, e.g. one that several indexes share.

        Raises IndexMismatchError if it is not of the model the index was made with.
        """
        if encoder.fingerprint != self.manifest.fingerprint:
            raise IndexMismatchError(
                f"{self.name} was made with {self.manifest.model} ({self.manifest.fingerprint[:12]}) and the encoder "
                f"is of {encoder.name} ({encoder.fingerprint[:12]})"
            )
        self._encoder = encoder

    def _check_model(self, model: str) -> None:
        if model == self.manifest.model:
            return
        encoder = _load_encoder(model, self.config)
        if encoder.fingerprint != self.manifest.fingerprint:
            raise IndexMismatchError(
                f"{self.name} was made with the model {self.manifest.model} of {self.manifest.dimension} dimensions "
                f"and {model} was asked for; make another index for it"
            )
        self._encoder = encoder

    @staticmethod
    def repair(address: str | Path, *, config: Config | None = None) -> None:
        """Rebuild what is derived from articles and vectors, without encoding again; for an index that may not open.

        >>> Index.repair("indexes/demo")
        """
        backend.repair(address, config)

    @staticmethod
    def verify(address: str | Path, *, config: Config | None = None) -> list[str]:
        """Return what is wrong with an index, a sentence each; nothing if every part is whole and fits the others.

        >>> Index.verify("indexes/demo")
        []
        """
        return list(backend.verify(address, config))

    # Reading ---------------------------------------------------------------------------------------------------------

    def get(self, pmid: int) -> Article | None:
        """Return the article with this PMID, or None.

        >>> index = Index.open("indexes/demo")
        >>> index.get(990000010).pmid
        990000010
        >>> index.close()
        """
        with self._reader.view() as view:
            return view.store.get(pmid)

    def articles(self) -> Iterator[Article]:
        """Yield all articles in order of PMID, as of the last commit when the first is taken.

        >>> index = Index.open("indexes/demo")
        >>> next(index.articles()).pmid > 0
        True
        >>> index.close()
        """
        with self._reader.view() as view:
            yield from view.store.articles()

    def export_txtai(self, folder: str | Path, articles: Iterable[Article] | None = None) -> int:
        """Write articles, or the whole index, as an index that plain txtai opens, and return how many there were.

        Raises ExportError if the folder is there already, or the model encodes questions and documents differently.

        >>> index = Index.open("indexes/demo")
        >>> index.export_txtai("demo-for-txtai", [index.get(990000010), index.get(990000011)])
        2
        >>> index.close()
        """
        from search.errors import ExportError
        from search.integrations.txtai_export import write_txtai
        from search.models.presets import resolve_model

        folders = resolve_model(self.manifest.model)
        if folders.query != folders.document:
            raise ExportError(f"{self.manifest.model} has a model of its own for questions, which txtai cannot use")
        with self._reader.view() as view:
            count = view.store.counts()["vectors"]
            chosen = view.store.articles() if articles is None else articles
            return write_txtai(chosen, view.store.vectors, count, folders.document, Path(folder))

    def status(self) -> Status:
        """Return what the index holds and how far its parts are.

        >>> index = Index.open("indexes/demo")
        >>> index.status().stale
        0
        >>> index.close()
        """
        with self._reader.view() as view:
            counts = view.store.counts()
            files = view.store.files()
            manifest = view.manifest
            return Status(
                folder=self.name,
                **counts,
                pending=view.pending(),
                generation=manifest.generation,
                change=view.change,
                model=manifest.model,
                fingerprint=manifest.fingerprint,
                dimension=manifest.dimension,
                text_rule=manifest.text_rule,
                stored_vectors=manifest.vectors,
                vector_index=view.structure(),
                created=manifest.created,
                bytes=self._reader.sizes(),
                files=len(files),
                incomplete_files=[str(entry["name"]) for entry in files if not entry["complete"]],
                nlm=self._nlm_files(),
            )

    def _nlm_files(self) -> NlmFiles | None:
        from search.pubmed.subset import chosen_part

        with backend.ledger_state(self.address, self.config) as ledger:
            applied = list(ledger.files().values())
            if not applied:
                return None
            part = str(chosen_part(ledger.part(), None))
            last = applied[-1]
            return NlmFiles(part=part, applied=len(applied), last=last.name, last_applied=last.applied)


def _load_encoder(model: str, config: Config) -> Encoder:
    from search.models import load_encoder

    return load_encoder(model, precision=config.precision)
