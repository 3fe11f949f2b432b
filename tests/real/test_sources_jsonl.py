"""JSON lines, on real records."""

import gzip
import json
import unicodedata

from search.article import Article, PartialDate
from search.formats.open import open_source


def plain(text):
    return unicodedata.normalize("NFC", " ".join(text.split()))


def test_all_json_lines_are_read(shared_data):
    path = shared_data / "pubmed" / "records.jsonl.gz"
    with gzip.open(path) as file:
        for line, article in zip(file, open_source(path), strict=True):
            record = json.loads(line)
            assert article == Article(
                pmid=record["pmid"],
                title=plain(record["title"]),
                abstract=article.abstract,
                journal=article.journal,
                mesh_headings=article.mesh_headings,
                publication_date=PartialDate(record.get("year")),
            )
            assert article.abstract_text == plain(record["abstract"])
            assert article.journal.title == (plain(record.get("journal", "")) or None)
            assert [heading.descriptor for heading in article.mesh_headings] == record.get("mesh", [])
