"""The tables of articles.db, as numbered migrations. Each is applied with its record in one transaction."""

from __future__ import annotations

from sqlite_utils import Database, Migrations

__all__ = ["migrations"]

migrations = Migrations("articles")


@migrations(name="0001_articles")
def _articles(db: Database) -> None:
    """Create the narrow row a filter reads, the document it stands for, and the counter of changes.

    `change` is the number of the transaction that last wrote a row; `sequence` the place of NLM's file (0: none);
    `added_change` is the number of the change that first added it;
    `revised`, `added`, `date_first` and `date_last` are yyyymmdd, 0 for what is not known; `stale` tells that the
    vector is missing or of another text.
    """
    db.conn.execute("CREATE TABLE counter (change INTEGER NOT NULL)")
    db.conn.execute("INSERT INTO counter VALUES (0)")
    db.conn.execute("CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID")
    db.conn.execute("""
        CREATE TABLE articles (
            pmid INTEGER PRIMARY KEY,
            change INTEGER NOT NULL,
            version INTEGER NOT NULL,
            revised INTEGER NOT NULL,
            sequence INTEGER NOT NULL,
            added INTEGER NOT NULL,
            added_change INTEGER NOT NULL,
            date_first INTEGER NOT NULL,
            date_last INTEGER NOT NULL,
            journal INTEGER REFERENCES journals (id),
            has_abstract INTEGER NOT NULL,
            free_full_text INTEGER NOT NULL,
            retracted INTEGER NOT NULL,
            stale INTEGER NOT NULL,
            text_hash BLOB NOT NULL,
            record_hash BLOB NOT NULL
        )""")
    db.conn.execute("CREATE INDEX articles_change ON articles (change)")
    db.conn.execute("CREATE INDEX articles_added ON articles (added_change)")
    db.conn.execute("CREATE INDEX articles_stale ON articles (pmid) WHERE stale")
    db.conn.execute("CREATE TABLE documents (pmid INTEGER PRIMARY KEY, document BLOB NOT NULL)")


@migrations(name="0002_vectors")
def _vectors(db: Database) -> None:
    """Create the vectors, each with the hash of the text it was made from."""
    db.conn.execute("""
        CREATE TABLE vectors (
            pmid INTEGER PRIMARY KEY,
            change INTEGER NOT NULL,
            text_hash BLOB NOT NULL,
            vector BLOB NOT NULL
        )""")
    db.conn.execute("CREATE INDEX vectors_change ON vectors (change)")


@migrations(name="0003_tombstones")
def _tombstones(db: Database) -> None:
    """Create the tombstones: what was deleted, and by which of NLM's files (0: by hand or by another source).

    A sequence of -1 stands for an article that only left the part of PubMed that an index keeps: any source may bring
    it back.
    """
    db.conn.execute("""
        CREATE TABLE tombstones (
            pmid INTEGER PRIMARY KEY,
            change INTEGER NOT NULL,
            sequence INTEGER NOT NULL
        )""")
    db.conn.execute("CREATE INDEX tombstones_change ON tombstones (change)")


@migrations(name="0004_terms")
def _terms(db: Database) -> None:
    """Create what filters look up by name: journals, and the MeSH headings, types and languages of each article.

    Names are found by their keys (`search.normalize`); a qualifier is a term whose `parent` is the descriptor.
    """
    db.conn.execute("CREATE TABLE journals (id INTEGER PRIMARY KEY, keys TEXT NOT NULL UNIQUE)")
    db.conn.execute("""
        CREATE TABLE journal_keys (
            key TEXT NOT NULL,
            journal INTEGER NOT NULL REFERENCES journals (id),
            PRIMARY KEY (key, journal)
        ) WITHOUT ROWID""")
    db.conn.execute("CREATE INDEX articles_journal ON articles (journal)")
    db.conn.execute("CREATE INDEX articles_date ON articles (date_first, date_last)")
    db.conn.execute("""
        CREATE TABLE terms (
            id INTEGER PRIMARY KEY,
            kind TEXT NOT NULL,
            name TEXT NOT NULL,
            ui TEXT NOT NULL,
            parent_name TEXT NOT NULL,
            parent_ui TEXT NOT NULL,
            UNIQUE (kind, name, ui, parent_name, parent_ui)
        )""")
    db.conn.execute("CREATE INDEX terms_ui ON terms (kind, ui)")
    db.conn.execute("""
        CREATE TABLE article_terms (
            term INTEGER NOT NULL REFERENCES terms (id),
            pmid INTEGER NOT NULL,
            major INTEGER NOT NULL,
            PRIMARY KEY (term, pmid)
        ) WITHOUT ROWID""")


@migrations(name="0005_files")
def _files(db: Database) -> None:
    """Create the ledger of files: what was read from where, how far, and what came of it."""
    db.conn.execute("""
        CREATE TABLE files (
            id INTEGER PRIMARY KEY,
            name TEXT NOT NULL,
            sha256 TEXT NOT NULL,
            complete INTEGER NOT NULL,
            started TEXT NOT NULL,
            finished TEXT,
            counts TEXT NOT NULL,
            error TEXT,
            UNIQUE (name, sha256)
        )""")


@migrations(name="0006_nlm")
def _nlm(db: Database) -> None:
    """Create what bringing an index to NLM's state must remember.

    `nlm_files` is the ledger of NLM's files. `part_articles` are the articles that are there only because they belong
    to the part of PubMed that is kept; others were added by hand. `seen_later` tells of articles that a later file
    than their own holds too, in an older revision. `query_runs` are queries to PubMed, with the PMIDs that are done of
    a run that is not finished.
    """
    db.conn.execute("""
        CREATE TABLE nlm_files (
            sequence INTEGER PRIMARY KEY,
            name TEXT NOT NULL,
            baseline INTEGER NOT NULL,
            md5 TEXT NOT NULL,
            stamp TEXT NOT NULL,
            records INTEGER NOT NULL,
            deletions INTEGER NOT NULL,
            rejected INTEGER NOT NULL,
            kept INTEGER NOT NULL,
            encoded INTEGER NOT NULL,
            bytes INTEGER NOT NULL,
            seconds REAL NOT NULL,
            applied TEXT NOT NULL
        )""")
    db.conn.execute("CREATE TABLE part_articles (pmid INTEGER PRIMARY KEY)")
    db.conn.execute("CREATE TABLE seen_later (pmid INTEGER PRIMARY KEY, sequence INTEGER NOT NULL)")
    db.conn.execute("""
        CREATE TABLE query_runs (
            id INTEGER PRIMARY KEY,
            query TEXT NOT NULL,
            started TEXT NOT NULL,
            finished TEXT
        )""")
    db.conn.execute("""
        CREATE TABLE query_pmids (
            run INTEGER NOT NULL REFERENCES query_runs (id),
            pmid INTEGER NOT NULL,
            PRIMARY KEY (run, pmid)
        ) WITHOUT ROWID""")


@migrations(name="0007_checksums")
def _checksums(db: Database) -> None:
    """Give vectors a checksum; those that are there already have none."""
    db.conn.execute("ALTER TABLE vectors ADD COLUMN checksum BLOB")
