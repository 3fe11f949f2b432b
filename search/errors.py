"""Every error this package raises on purpose.

SearchError
├── ConfigError          config.yml: unknown key, wrong type, unreadable file
├── SourceError          an input file or service that cannot be read on
├── InvalidRecordError   one record that cannot be used (the run continues unless it is strict)
├── ModelError           a model that does not exist, cannot be loaded or does not fit
├── IndexFolderError     a folder that is not an index, or one that cannot be used as requested
│   ├── IndexMismatchError   made with another model, dimension or text rule
│   ├── IndexCorruptError    parts that do not belong together or are damaged
│   └── IndexLockedError     another process is writing
├── StoreError           the database refused (disk full, read-only, ...)
├── QueryError           a question or filter that cannot be answered as it stands
│   └── NotFoundError        a requested article or saved search that is not in the index
├── TimeLimitError       an answer that took longer than its time limit
├── ExportError          an export that cannot be written
├── TrainingError        pairs, parameters or checkpoints that cannot be used
└── EvaluationError      a collection or file that cannot be judged with

A message names the file, line or PMID, says what was wrong, and what to do about it.
"""

from __future__ import annotations

__all__ = [
    "ConfigError",
    "EvaluationError",
    "ExportError",
    "IndexCorruptError",
    "IndexFolderError",
    "IndexLockedError",
    "IndexMismatchError",
    "InvalidRecordError",
    "ModelError",
    "NotFoundError",
    "QueryError",
    "SearchError",
    "SourceError",
    "StoreError",
    "TimeLimitError",
    "TrainingError",
]


class SearchError(Exception):
    """Base class of all errors this package raises on purpose."""


class ConfigError(SearchError):
    """config.yml cannot be read, or holds an unknown key or a value of the wrong type."""


class SourceError(SearchError):
    """An input file or service cannot be read, or cannot be read any further."""


class InvalidRecordError(SearchError):
    """One record cannot be used; raised only where a run is strict or a record is given directly."""


class ModelError(SearchError):
    """A model does not exist, cannot be loaded, or does not fit what it is used for."""


class IndexFolderError(SearchError):
    """A folder is not an index, or an index cannot be used as requested."""


class IndexMismatchError(IndexFolderError):
    """An index was made with another model, dimension or text rule than the one requested."""


class IndexCorruptError(IndexFolderError):
    """The parts of an index do not belong together, or one is damaged."""


class IndexLockedError(IndexFolderError):
    """Another process is writing to the index."""


class StoreError(SearchError):
    """The database refused an operation: the disk is full, it is read-only, it cannot be reached, and the like."""


class QueryError(SearchError):
    """A question or a filter cannot be answered as it stands."""


class NotFoundError(QueryError):
    """A requested article or saved search does not exist."""


class TimeLimitError(SearchError):
    """An answer took longer than the time limit set for it."""


class ExportError(SearchError):
    """An export cannot be written."""


class TrainingError(SearchError):
    """Training pairs, parameters or checkpoints cannot be used."""


class EvaluationError(SearchError):
    """A collection or a file cannot be used for judging."""
