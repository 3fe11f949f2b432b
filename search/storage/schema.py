"""The tables of an index, for both databases, in one place. A table or column is added here and nowhere else.

SQLite and PostgreSQL share the tables of `_SHARED`; each has a few more of its own for what it is searched by. Columns:

- `change` is the number of the transaction that last wrote a row, `added_change` of the one that first added it;
  the row of `counter` holds the last number.
- `sequence` is the place of NLM's file in NLM's order. 0: no file; in `tombstones`: deleted by hand. -1 in
  `tombstones`: the article only left the part of PubMed that the index keeps, and any source may bring it back.
- `revised`, `added`, `date_first`, `date_last` (of the issue), `electronic_first` and `electronic_last` are yyyymmdd,
  0 if unknown.
- `journal` is the id of a row of `journals`, 0 for none; journals and terms are found by their keys
  (`search.normalize`), a qualifier is a term whose `parent` is the descriptor.
- `stale`: the vector is missing or was made from another text. `text_hash` is that of the text that is embedded,
  `record_hash` that of the whole record.
- `static_vectors` holds the static vector of each article (`search.models.static_vectors`), if the model has any: its
  numbers are integers from -127 to 127, and only its direction has a meaning.
- `static_models` holds what they are made with, if it does not come with this program: one row, of the fingerprint that
  the manifest has.
- `documents` holds the records, JSON compressed with zlib.
- `files` is the ledger of `add`, `nlm_files` that of `sync`. `part_articles` are the articles that are there only
  because they belong to the part of PubMed that is kept. `seen_later` names articles that a later file than their own
  holds too, in an older revision. `query_runs` are queries to PubMed; `query_pmids` what is done of an unfinished one.
- `citation_runs` and `citation_blocks` are the citations (`search.storage.citation_graph`).
- `retractions` is Retraction Watch's list: of which article (`pmid`, 0 if unknown, negative if it is that of the
  article of the index that has the DOI; `doi` in small letters, empty if unknown), what (`nature`), since when, why,
  and by which notice.
- `settings` holds `manifest` (what the index is, as JSON), `dimension`, `vectors` (float16 or float32), and what the
  ledger sets.
"""

from __future__ import annotations

__all__ = ["STATIC_MODELS", "postgres_schema", "sqlite_schema"]

#: Indexes of this format that were made before there was this table get it when there is something to put into it.
STATIC_MODELS = "CREATE TABLE IF NOT EXISTS static_models (fingerprint text PRIMARY KEY, content {bytes} NOT NULL)"

_SHARED = (
    f"{STATIC_MODELS};"
    + """
CREATE TABLE counter (change bigint NOT NULL);
INSERT INTO counter VALUES (0);
CREATE TABLE settings (key text PRIMARY KEY, value text NOT NULL);
CREATE TABLE articles (
    pmid {key},
    change bigint NOT NULL,
    version integer NOT NULL,
    revised integer NOT NULL,
    sequence integer NOT NULL,
    added integer NOT NULL,
    added_change bigint NOT NULL,
    date_first integer NOT NULL,
    date_last integer NOT NULL,
    electronic_first integer NOT NULL,
    electronic_last integer NOT NULL,
    journal integer NOT NULL,
    has_abstract boolean NOT NULL,
    free_full_text boolean NOT NULL,
    retracted boolean NOT NULL,
    sample_size integer NOT NULL,
    stale boolean NOT NULL,
    text_hash {bytes} NOT NULL,
    record_hash {bytes} NOT NULL,
    {terms}
);
CREATE INDEX articles_change ON articles (change);
CREATE INDEX articles_added ON articles (added_change);
CREATE INDEX articles_stale ON articles (pmid) WHERE stale;
CREATE INDEX articles_journal ON articles (journal);
CREATE INDEX articles_date ON articles (date_first, date_last);
CREATE INDEX articles_electronic ON articles (electronic_first, electronic_last) WHERE electronic_first > 0;
CREATE TABLE documents (pmid {key}, document {bytes} NOT NULL);
CREATE TABLE tombstones (pmid {key}, change bigint NOT NULL, sequence integer NOT NULL);
CREATE INDEX tombstones_change ON tombstones (change);
CREATE TABLE files (
    id {serial},
    name text NOT NULL,
    sha256 text NOT NULL,
    complete boolean NOT NULL,
    started text NOT NULL,
    finished text,
    counts text NOT NULL,
    error text,
    UNIQUE (name, sha256)
);
CREATE INDEX files_sha256 ON files (sha256);
CREATE TABLE nlm_files (
    sequence {key},
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
CREATE TABLE part_articles (pmid {key});
CREATE TABLE seen_later (pmid {key}, sequence integer NOT NULL);
CREATE TABLE citation_runs (kind integer NOT NULL, run bigint NOT NULL, edges bigint NOT NULL, PRIMARY KEY (kind, run));
CREATE TABLE citation_blocks (
    id {serial},
    kind integer NOT NULL,
    run bigint NOT NULL,
    first bigint NOT NULL,
    edges {bytes} NOT NULL
);
CREATE INDEX citation_blocks_first ON citation_blocks (kind, run, first);
CREATE TABLE retractions (
    id {serial},
    pmid bigint NOT NULL,
    doi text NOT NULL,
    nature text NOT NULL,
    day integer NOT NULL,
    reasons text NOT NULL,
    notice_pmid bigint NOT NULL,
    notice_doi text NOT NULL
);
CREATE INDEX retractions_pmid ON retractions (pmid);
CREATE INDEX retractions_doi ON retractions (doi);
CREATE TABLE query_runs (id {serial}, query text NOT NULL, started text NOT NULL, finished text);
CREATE TABLE query_pmids (run bigint NOT NULL, pmid bigint NOT NULL, PRIMARY KEY (run, pmid));
"""
)

#: `articles.terms` is a JSON list of 2 * term + (1 if it is a main point of the article): what a few articles are
#: filtered by. `article_terms` lists the articles of a term. `vectors.checksum` is that of the row.
_SQLITE = """
CREATE TABLE vectors (
    pmid INTEGER PRIMARY KEY,
    change INTEGER NOT NULL,
    text_hash BLOB NOT NULL,
    vector BLOB NOT NULL,
    checksum BLOB NOT NULL
);
CREATE INDEX vectors_change ON vectors (change);
CREATE TABLE static_vectors (pmid INTEGER PRIMARY KEY, change INTEGER NOT NULL, vector BLOB NOT NULL);
CREATE INDEX static_vectors_change ON static_vectors (change);
CREATE TABLE journals (id INTEGER PRIMARY KEY, keys TEXT NOT NULL UNIQUE);
CREATE TABLE journal_keys (key TEXT NOT NULL, journal INTEGER NOT NULL, PRIMARY KEY (key, journal)) WITHOUT ROWID;
CREATE TABLE terms (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    ui TEXT NOT NULL,
    parent_name TEXT NOT NULL,
    parent_ui TEXT NOT NULL,
    UNIQUE (kind, name, ui, parent_name, parent_ui)
);
CREATE INDEX terms_ui ON terms (kind, ui);
CREATE TABLE article_terms (
    term INTEGER NOT NULL,
    pmid INTEGER NOT NULL,
    major INTEGER NOT NULL,
    PRIMARY KEY (term, pmid)
) WITHOUT ROWID;
"""

#: `changes` tells whether a transaction whose connection broke at the last moment was committed.
#: The dimension and type of `vector` are set when an index is made; merging makes the HNSW index.
#: Names of terms and journals are found by hash indexes, which take names of any length.
#: `words.tokens` is how many words each field of an article has, `lengths` the same as BM25 counts it
#: (`packing.rounded_length`). Words lie in their row: a search reads them once for each of its words.
#: `tokens` are those of `search.storage.article_tokens`: words with their places, exact values without.
#: `word_counts` says how many articles have a word, as of the last merge.
_POSTGRES = """
CREATE TABLE changes (token text PRIMARY KEY, change bigint NOT NULL);
CREATE INDEX changes_change ON changes (change);
CREATE INDEX articles_terms ON articles USING gin (terms);
CREATE INDEX articles_major ON articles USING gin (major);
ALTER TABLE documents ALTER document SET STORAGE EXTERNAL;
ALTER TABLE citation_blocks ALTER edges SET STORAGE EXTERNAL;
CREATE TABLE vectors (
    pmid bigint PRIMARY KEY,
    change bigint NOT NULL,
    text_hash bytea NOT NULL,
    vector halfvec NOT NULL
);
ALTER TABLE vectors ALTER vector SET STORAGE PLAIN;
CREATE INDEX vectors_change ON vectors (change);
CREATE TABLE static_vectors (pmid bigint PRIMARY KEY, change bigint NOT NULL, vector halfvec NOT NULL);
ALTER TABLE static_vectors ALTER vector SET STORAGE PLAIN;
CREATE TABLE journals (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, keys text NOT NULL);
CREATE UNIQUE INDEX journals_keys ON journals (md5(keys));
CREATE TABLE journal_keys (key text NOT NULL, journal integer NOT NULL);
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
CREATE TABLE words (
    pmid bigint PRIMARY KEY,
    change bigint NOT NULL,
    tokens integer[] NOT NULL,
    lengths integer[] NOT NULL,
    words tsvector NOT NULL
);
ALTER TABLE words ALTER words SET STORAGE EXTERNAL;
ALTER TABLE words SET (toast_tuple_target = 8160);
CREATE INDEX words_change ON words (change) INCLUDE (tokens);
CREATE INDEX words_words ON words USING gin (words);
CREATE TABLE word_counts (word text PRIMARY KEY, articles bigint NOT NULL);
CREATE TABLE tokens (pmid bigint PRIMARY KEY, tokens tsvector NOT NULL);
CREATE INDEX tokens_tokens ON tokens USING gin (tokens);
CREATE TABLE saved (name text PRIMARY KEY, content bytea NOT NULL);
"""


def sqlite_schema() -> str:
    """Return the statements that make the tables in SQLite."""
    return (
        _SHARED.format(
            key="INTEGER PRIMARY KEY", serial="INTEGER PRIMARY KEY", bytes="BLOB", terms="terms TEXT NOT NULL"
        )
        + _SQLITE
    )


def postgres_schema() -> str:
    """Return the statements that make the tables in PostgreSQL, in the schema that is current."""
    return (
        _SHARED.format(
            key="bigint PRIMARY KEY",
            serial="bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
            bytes="bytea",
            terms="terms integer[] NOT NULL,\n    major integer[] NOT NULL",
        )
        + _POSTGRES
    )
