"""Where articles, vectors and words are kept: a folder or a PostgreSQL database."""
