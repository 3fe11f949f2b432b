"""The index folder: manifest, Faiss, tantivy, merging."""

from search.index.manifest import Manifest, read_manifest
from search.index.reader import IndexReader, View
from search.index.verify import verify
from search.index.writer import IndexWriter, create_folder

__all__ = ["IndexReader", "IndexWriter", "Manifest", "View", "create_folder", "read_manifest", "verify"]
