"""MEDLINE text and JSON lines, on real files."""

import gzip
import io
import json

import pytest
from msgspec import structs

from search import export
from search.article import Article, PartialDate, embedding_text
from search.sources import open_source


@pytest.fixture(scope="module")
def articles(shared_data):
    found = {}
    for path in sorted((shared_data / "pubmed_xml").glob("*/*.xml*")):
        found |= {record.pmid: record for record in open_source(path) if isinstance(record, Article)}
    return list(found.values())


def test_the_files_of_pubmed_are_read_whole(shared_data):
    read = [
        article for n in (1, 2, 3, 4) for article in open_source(shared_data / "pubmed_nbib" / f"pubmed_result{n}.txt")
    ]
    assert [article.pmid for article in read] == [12230038, 16403221, 16377612, 14871861, 14630660, 23039619, 37195739]
    first, second, *_, sixth, last = read
    assert first.title == "The Bio* toolkits--a brief overview."
    assert first.abstract_text.startswith(
        "Bioinformatics research is often difficult to do with commercial software. The"
    )
    assert first.abstract_text.endswith("from the point of view of the beginning biologist programmer.")
    assert [str(author) for author in first.authors] == ["Mangalam H"]
    assert first.authors[0].affiliations == ("tacg Informatics, Irvine, CA 92612, USA. hjm@tacgi.com",)
    assert [heading.descriptor for heading in first.mesh_headings if heading.is_major] == [
        "Computational Biology",
        "Programming Languages",
        "Software",
    ]
    assert first.journal.medline_abbreviation == "Brief Bioinform" and first.publication_date == PartialDate(2002, 9)
    assert [section.label for section in second.abstract] == ["BACKGROUND", "RESULTS", "CONCLUSION"]
    assert (second.doi, second.pmcid, second.other_ids[0].value) == (
        "10.1186/1471-2105-7-10",
        "PMC1373603",
        "1471-2105-7-10",
    )
    assert sixth.journal.issn_linking == sixth.journal.issn == "0094-2405"
    assert [len(author.affiliations) for author in last.authors[:4]] == [1, 2, 1, 2]
    assert last.publication_date == PartialDate(2023, 5, 17) and str(last.revised) == "2023-05-17"


def without_what_medline_text_lacks(article):
    """Take off what no tag of MEDLINE text says: MeSH UIs, NLM's categories, the case of labels, and the like."""
    sections = tuple(structs.replace(s, category=None, label=s.label and s.label.upper()) for s in article.abstract)
    headings = tuple(
        structs.replace(h, ui=None, qualifiers=tuple(structs.replace(q, ui=None) for q in h.qualifiers))
        for h in article.mesh_headings
    )
    return structs.replace(
        article,
        abstract=sections,
        mesh_headings=headings,
        journal=structs.replace(article.journal, iso_abbreviation=None),
        publication_types=tuple(structs.replace(part, ui=None) for part in article.publication_types),
        substances=tuple(structs.replace(part, ui=None) for part in article.substances),
        supplementary_concepts=tuple(structs.replace(c, ui=None, type=None) for c in article.supplementary_concepts),
        corrections=tuple(structs.replace(link, note=None) for link in article.corrections),
        authors_complete=True,
        other_ids=tuple(sorted(article.other_ids, key=str)),
    )


def test_records_written_as_medline_text_come_back(articles, tmp_path):
    path = tmp_path / "records.nbib"
    text = io.StringIO()
    export.write(articles, text, "nbib")
    path.write_text(text.getvalue())
    differing = {
        before.pmid
        for before, after in zip(articles, open_source(path), strict=True)
        if without_what_medline_text_lacks(before) != without_what_medline_text_lacks(after)
        or embedding_text(before) != embedding_text(after)
    }
    # Its last label follows a bracket, not a sentence.
    assert differing == {26253018}


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
