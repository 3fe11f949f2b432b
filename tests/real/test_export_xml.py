"""NLM's own XML records, with all that they hold, written in each format and read back by other parsers."""

import io
import re

import bibtexparser
import nbib
import pytest
import rispy
from bibtexparser.middlewares import SeparateCoAuthors, SplitNameParts
from Bio import Medline
from export_articles import unescaped

from search.article import Article, from_json
from search.formats import export
from search.formats.citation_fields import bare_title, expand_pages, given_name, mesh_term
from search.formats.open import open_source
from search.normalize import clean
from search.presentation.notices import notices_of


@pytest.fixture(scope="module")
def articles(shared_data):
    found = {}
    for path in sorted((shared_data / "pubmed_xml").glob("*/*.xml*")):
        for record in open_source(str(path)):
            if isinstance(record, Article):
                found[record.pmid] = record
    assert len(found) > 1_000
    return list(found.values())


def written(articles, format):
    stream = io.StringIO()
    assert export.write(articles, stream, format) == len(articles)
    return stream.getvalue()


def ris_name(author):
    if author.collective_name:
        return clean(author.collective_name) + ","
    return ", ".join(part for part in (clean(author.last_name), given_name(author), clean(author.suffix)) if part)


def test_ris_loses_nothing(articles):
    for article, record in zip(articles, rispy.loads(written(articles, "ris")), strict=True):
        assert record["accession_number"] == str(article.pmid)
        if article.book is None:
            assert record.get("title", "") == bare_title(article.title)
        assert record.get("abstract", "") == clean(article.labelled_abstract)
        assert record.get("authors", []) == [ris_name(author) for author in article.authors if ris_name(author)]
        assert record.get("doi", "") == clean(article.doi)
        pages = [record[key] for key in ("start_page", "end_page") if key in record]
        assert "-".join(pages) == expand_pages(article.location)
        assert "research_notes" not in record
        assert record.get("notes", []) == [str(notice) for notice in notices_of(article)]
        assert len(record.get("keywords", [])) == len(article.mesh_headings) + len(article.keywords)


def test_bibtex_loses_nothing(articles):
    library = bibtexparser.parse_string(
        written(articles, "bibtex"), append_middleware=[SeparateCoAuthors(), SplitNameParts()]
    )
    assert not library.failed_blocks and not library.comments
    for article, entry in zip(articles, library.entries, strict=True):
        fields = {key: field.value for key, field in entry.fields_dict.items()}
        title = article.title or (article.book.title if article.book is not None else "")
        assert plain(fields.get("title", "")) == bare_title(title)
        assert plain(fields.get("abstract", "")) == clean(article.labelled_abstract)
        assert fields.get("doi", "") == clean(article.doi)
        assert plain(fields.get("note", "")) == " ".join(map(str, notices_of(article)))
        assert fields.get("medlinepagination", fields.get("pages", "").replace("--", "-")) == clean(article.location)
        people = [name for name in fields.get("author", []) if name.last != ["others"]]
        assert [bibtex_name(name) for name in people] == [
            (clean(author.collective_name or author.last_name), given_name(author), clean(author.suffix))
            for author in article.authors
        ]


def bibtex_name(name):
    return (
        plain(" ".join(name.von + name.last)),
        plain(" ".join(name.first)),
        plain(" ".join(name.jr)),
    )


def plain(text):
    """Return the text without TeX's escapes, and without the braces that keep a name or a title together."""
    whole = re.fullmatch(r"\{(.*)\}", text)
    return unescaped(whole[1] if whole else text)


def test_json_lines_lose_nothing(articles):
    assert [from_json(line) for line in written(articles, "jsonl").splitlines()] == articles


def test_retractions_are_marked_in_every_format(articles):
    retracted = [article for article in articles if article.is_retracted]
    assert retracted
    for article in retracted:
        for format in export.FORMATS:
            assert re.search("RETRACTED|Retracted Publication|\nRIN - ", export.render(article, format))


def test_nbib_is_read_back_with_all_that_the_format_can_say(articles, tmp_path):
    path = tmp_path / "all.nbib"
    path.write_text(written(articles, "nbib"), encoding="utf-8")
    again = list(open_source(str(path)))
    assert [article.pmid for article in again] == [article.pmid for article in articles]
    for before, after in zip(articles, again, strict=True):
        assert said(after) == said(before)


def test_nbib_is_read_by_nbib_and_biopython(articles, tmp_path):
    path = tmp_path / "all.nbib"
    path.write_text(written(articles, "nbib"), encoding="utf-8")
    records = nbib.read_file(str(path))
    with path.open(encoding="utf-8") as stream:
        theirs = list(Medline.parse(stream))
    for article, record, other in zip(articles, records, theirs, strict=True):
        journal, people = article.journal, [a for a in article.authors if a.last_name]
        kind = (journal.issn_type or "Undetermined").lower()
        assert record["pubmed_id"] == article.pmid and record.get("title", "") == clean(article.title)
        assert record.get("abstract", "") == clean(article.labelled_abstract)
        assert record.get(f"{kind}_issn") == journal.issn and record.get("doi") == article.doi
        # It takes `et al` for the last name, as PubMed writes no full form of it.
        people = people if article.authors_complete else people[:-1]
        shown = [a["author_abbreviated"] for a in record.get("authors", []) if "author_abbreviated" in a]
        assert shown[: len(people)] == [clean(str(a)) for a in people]
        assert other["PMID"] == str(article.pmid) and other.get("AB", "") == clean(article.labelled_abstract)
        assert other.get("MH", []) == [mesh_term(heading) for heading in article.mesh_headings]
        assert other.get("LA", []) == list(article.languages) and other.get("JT", "") == clean(journal.title)


def said(article):
    """What MEDLINE text can say of an article: no UIs, no ISO abbreviation, no notes of corrections."""
    journal = article.journal
    return {
        "title": clean(article.title),
        "vernacular": article.vernacular_title,
        "abstract": clean(article.labelled_abstract),
        "copyright": article.copyright,
        "journal": (
            journal.title,
            journal.medline_abbreviation,
            journal.issn,
            journal.issn_type,
            journal.issn_linking,
            journal.nlm_id,
        ),
        "volume": (article.volume, article.issue, article.pages, article.article_number),
        "references": article.number_of_references,
        "subsets": article.citation_subsets,
        "genes": article.gene_symbols,
        "subjects": [(a.last_name, a.fore_name, a.suffix) for a in article.personal_name_subjects],
        "flights": article.space_flight_missions,
        "notes": [note.text for note in article.general_notes],
        "model": article.publication_model,
        "history": article.history,
        "complete": article.authors_complete,
        "dates": (
            article.publication_date,
            article.electronic_date,
            article.created,
            article.completed,
            article.revised,
        ),
        "languages": article.languages,
        "authors": [(a.last_name, a.fore_name, a.collective_name, a.orcid, a.affiliations) for a in article.authors],
        "investigators": [(a.last_name, a.fore_name, a.collective_name) for a in article.investigators],
        "mesh": [(h.descriptor, h.major, [(q.name, q.major) for q in h.qualifiers]) for h in article.mesh_headings],
        "concepts": [concept.name for concept in article.supplementary_concepts],
        "keywords": article.keywords,
        "types": [kind.name for kind in article.publication_types],
        "substances": [(substance.name, substance.registry_number) for substance in article.substances],
        "ids": (article.doi, article.pmcid, set(article.other_ids)),
        "numbers": article.accession_numbers,
        "corrections": [(c.kind, c.citation, c.pmid) for c in article.corrections],
        "interests": article.coi_statement,
        "status": (article.status, article.publication_status),
    }
