"""The tables of an index, as numbered migrations. Each is applied with its record in one transaction.

`search.storage.folder.sqlite_schema` explains each column; what differs is explained here.
"""

from __future__ import annotations

__all__ = ["MIGRATIONS"]

#: Terms are numbers in two arrays of the article, all and those that are its main points: a filter reads one row.
#: `changes` tells whether a transaction whose connection broke at the last moment was committed.
_ARTICLES = """
CREATE TABLE counter (change bigint NOT NULL);
INSERT INTO counter VALUES (0);
CREATE TABLE changes (token text PRIMARY KEY, change bigint NOT NULL);
CREATE INDEX changes_change ON changes (change);
CREATE TABLE settings (key text PRIMARY KEY, value text NOT NULL);
CREATE TABLE articles (
    pmid bigint PRIMARY KEY,
    change bigint NOT NULL,
    version integer NOT NULL,
    revised integer NOT NULL,
    sequence integer NOT NULL,
    added integer NOT NULL,
    added_change bigint NOT NULL,
    date_first integer NOT NULL,
    date_last integer NOT NULL,
    journal integer NOT NULL,
    has_abstract boolean NOT NULL,
    free_full_text boolean NOT NULL,
    retracted boolean NOT NULL,
    stale boolean NOT NULL,
    text_hash bytea NOT NULL,
    record_hash bytea NOT NULL,
    terms integer[] NOT NULL,
    major integer[] NOT NULL
);
CREATE INDEX articles_change ON articles (change);
CREATE INDEX articles_added ON articles (added_change);
CREATE INDEX articles_stale ON articles (pmid) WHERE stale;
CREATE INDEX articles_journal ON articles (journal);
CREATE INDEX articles_date ON articles (date_first, date_last);
CREATE INDEX articles_terms ON articles USING gin (terms);
CREATE INDEX articles_major ON articles USING gin (major);
CREATE TABLE documents (pmid bigint PRIMARY KEY, document bytea NOT NULL);
ALTER TABLE documents ALTER document SET STORAGE EXTERNAL;
"""

#: The dimension and the type of `vector` are set when an index is made. The HNSW index is made by merging.
_VECTORS = """
CREATE TABLE vectors (
    pmid bigint PRIMARY KEY,
    change bigint NOT NULL,
    text_hash bytea NOT NULL,
    vector halfvec NOT NULL
);
ALTER TABLE vectors ALTER vector SET STORAGE PLAIN;
CREATE INDEX vectors_change ON vectors (change);
"""

_TOMBSTONES = """
CREATE TABLE tombstones (pmid bigint PRIMARY KEY, change bigint NOT NULL, sequence integer NOT NULL);
CREATE INDEX tombstones_change ON tombstones (change);
"""

#: Names are found by hash indexes, which take names of any length.
_TERMS = """
CREATE TABLE journals (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, keys text NOT NULL);
CREATE UNIQUE INDEX journals_keys ON journals (md5(keys));
CREATE TABLE journal_keys (key text NOT NULL, journal integer NOT NULL REFERENCES journals (id));
CREATE INDEX journal_keys_key ON journal_keys USING hash (key);
CREATE TABLE terms (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL,
    name text NOT NULL,
    ui text NOT NULL,
    parent_name text NOT NULL,
    parent_ui text NOT NULL
);
CREATE UNIQUE INDEX terms_key
    ON terms (md5(kind || chr(10) || name || chr(10) || ui || chr(10) || parent_name || chr(10) || parent_ui));
CREATE INDEX terms_name ON terms USING hash (name);
CREATE INDEX terms_ui ON terms USING hash (ui);
"""

#: `tokens` is the length of an article in words, `length` the same as BM25 counts it (`formats.rounded_length`).
#: Words lie in their row, for a search reads them once for each word that it asks for.
#: `word_counts` says of each word how many articles have it, as of the last merge.
_WORDS = """
CREATE TABLE words (
    pmid bigint PRIMARY KEY,
    change bigint NOT NULL,
    tokens integer NOT NULL,
    length integer NOT NULL,
    words tsvector NOT NULL
);
ALTER TABLE words ALTER words SET STORAGE EXTERNAL;
ALTER TABLE words SET (toast_tuple_target = 8160);
CREATE INDEX words_change ON words (change) INCLUDE (tokens);
CREATE INDEX words_words ON words USING gin (words);
CREATE TABLE word_counts (word text PRIMARY KEY, articles bigint NOT NULL);
"""

#: The tokens of `search.storage.article_tokens`: words with their places, exact values without.
_TOKENS = """
CREATE TABLE tokens (pmid bigint PRIMARY KEY, tokens tsvector NOT NULL);
CREATE INDEX tokens_tokens ON tokens USING gin (tokens);
"""

_FILES = """
CREATE TABLE files (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    sha256 text NOT NULL,
    complete boolean NOT NULL,
    started text NOT NULL,
    finished text,
    counts text NOT NULL,
    error text,
    UNIQUE (name, sha256)
);
CREATE TABLE saved (name text PRIMARY KEY, content bytea NOT NULL);
"""

_NLM = """
CREATE TABLE nlm_files (
    sequence integer PRIMARY KEY,
    name text NOT NULL,
    baseline boolean NOT NULL,
    md5 text NOT NULL,
    stamp text NOT NULL,
    records integer NOT NULL,
    deletions integer NOT NULL,
    rejected integer NOT NULL,
    kept integer NOT NULL,
    encoded integer NOT NULL,
    bytes bigint NOT NULL,
    seconds double precision NOT NULL,
    applied text NOT NULL
);
CREATE TABLE part_articles (pmid bigint PRIMARY KEY);
CREATE TABLE seen_later (pmid bigint PRIMARY KEY, sequence integer NOT NULL);
CREATE TABLE query_runs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    query text NOT NULL,
    started text NOT NULL,
    finished text
);
CREATE TABLE query_pmids (
    run bigint NOT NULL REFERENCES query_runs (id),
    pmid bigint NOT NULL,
    PRIMARY KEY (run, pmid)
);
"""

MIGRATIONS: dict[str, str] = {
    "0001_articles": _ARTICLES,
    "0002_vectors": _VECTORS,
    "0003_tombstones": _TOMBSTONES,
    "0004_terms": _TERMS,
    "0005_words": _WORDS,
    "0006_files": _FILES,
    "0007_nlm": _NLM,
    "0008_tokens": _TOKENS,
}
