"""The index folder: manifest, Faiss, tantivy, merging."""
