"""JSON lines, on real records."""

import gzip
import json

from search.article import Article, PartialDate
from search.formats.open import open_source


def test_all_json_lines_are_read(shared_data):
    path = shared_data / "pubmed" / "records.jsonl.gz"
    with gzip.open(path) as file:
        for line, article in zip(file, open_source(path), strict=True):
            record = json.loads(line)
            assert article == Article(
                pmid=record["pmid"],
                title=" ".join(record["title"].split()),
                abstract=article.abstract,
                journal=article.journal,
                mesh_headings=article.mesh_headings,
                publication_date=PartialDate(record.get("year")),
            )
            assert article.abstract_text == " ".join(record["abstract"].split())
            assert article.journal.title == (" ".join(record.get("journal", "").split()) or None)
            assert [heading.descriptor for heading in article.mesh_headings] == record.get("mesh", [])
