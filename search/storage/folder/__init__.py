"""An index in a folder: SQLite, Faiss and tantivy."""
