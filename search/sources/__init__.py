"""Reading PubMed records from files and services."""

from search.sources.base import Record, Rejection, Source, file_sequence
from search.sources.opening import expand_paths, open_source

__all__ = ["Record", "Rejection", "Source", "expand_paths", "file_sequence", "open_source"]
