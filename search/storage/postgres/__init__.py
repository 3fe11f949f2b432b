"""An index in PostgreSQL: articles, halfvec vectors (pgvector), filters, words, ledger and saved searches."""
