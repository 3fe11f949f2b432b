"""Duplicates among the references of several databases.

The labelled set is made by code from the records that come with the program: a copy of each as another database has it
(no PMID, and two or three of the usual damages of `damage.DAMAGES`, drawn by chance), and six references to other works
that look like it (`damage.near_misses`). Real records beside the checkout are taken for the same where there are any.
"""

import random
from pathlib import Path

import msgspec
import pytest
from review.damage import damaged, near_misses

from search.article import Article, Author, Correction, PartialDate, PublicationType
from search.errors import SourceError
from search.formats.open import open_source
from search.formats.reference_lists import Reference, of_article, read_references, write_ris
from search.review.dedupe import dedupe, dedupe_files

SAMPLE = Path(__file__).parents[2] / "search" / "sample"


def references_of(paths):
    found = {}
    for path in paths:
        for record in open_source(path):
            if isinstance(record, Article):
                found.setdefault(record.pmid, of_article(record))
    return list(found.values())


def judged(references, seed):
    """The share of damaged copies that are found, and the pairs that are no copies of each other."""
    copies = [damaged(reference, seed + number)[0] for number, reference in enumerate(references)]
    near = [miss for number, reference in enumerate(references) for miss in near_misses(reference, seed + number)]
    everything = [*references, *copies, *near]
    random.Random(seed).shuffle(everything)
    _, duplicates, _ = dedupe(everything)
    right, wrong = 0, []
    for entry in duplicates:
        if entry.where.removeprefix("copy of ") == entry.kept.removeprefix("copy of "):
            right += 1
        else:
            wrong.append((entry.where, entry.kept, entry.reason))
    return right / len(copies), wrong


@pytest.mark.parametrize("seed", [0, 1000, 2000, 3000])
def test_damaged_copies_of_the_sample_are_found_and_nothing_else(seed):
    found, wrong = judged(references_of(sorted(SAMPLE.glob("*.xml"))), seed)
    assert wrong == []
    assert found >= 0.95


def test_damaged_copies_of_real_records_are_found_and_nothing_else(shared_data):
    references = references_of(sorted((shared_data / "pubmed_xml").glob("*/*.xml*")))
    # Records that share a DOI or a title cannot be told apart without their PMIDs.
    dois = [reference.doi for reference in references]
    titles = [reference.title.lower() for reference in references]
    references = [
        reference
        for reference in references
        if titles.count(reference.title.lower()) == 1 and (not reference.doi or dois.count(reference.doi) == 1)
    ]
    assert len(references) > 900
    found, wrong = judged(references, 0)
    assert wrong == []
    assert found >= 0.95


def made(where, **fields):
    known = {"title": "Aspirin for the prevention of stroke in adults", "year": 2010, "authors": ("Smith, J",)}
    return Reference(where=where, **{**known, **fields})


@pytest.mark.parametrize(
    ("one", "other", "reason"),
    [
        ({"pmid": 5}, {"pmid": 5, "title": "ASPIRIN for the prevention of stroke in adults."}, "same PMID"),
        ({"pmid": 5}, {"pmid": 6}, None),
        ({"pmid": 5}, {"pmid": 5, "title": "Zebras and their stripes in the wild"}, None),
        ({"doi": "10.1/a"}, {"doi": "10.1/a", "year": 2011}, "same DOI"),
        ({"doi": "10.1/a"}, {"doi": "10.1/b"}, None),
        ({"doi": "10.1/a", "title": ""}, {"doi": "10.1/a"}, "same DOI"),
        ({}, {"year": 2011}, "same title, year and first author"),
        ({}, {"year": 2013}, None),
        ({}, {"authors": ("Jones, A",)}, None),
        ({"authors": ("van der Berg, J",)}, {"authors": ("Berg, Jan",)}, "same title, year and first author"),
        ({"authors": ("García-López, M",)}, {"authors": ("Garcia Lopez, Maria",)}, "same title, year and first author"),
        ({"volume": "5", "pages": "7-9"}, {"volume": "5", "pages": "7"}, "same title, volume and page"),
        ({"volume": "5", "pages": "7-9"}, {"volume": "6", "pages": "7-9"}, None),
        ({"pages": "7-9"}, {"pages": "17-19"}, None),
        ({}, {"title": "Aspirin for the prevention of stroke in adults: part 2"}, None),
        ({}, {"title": "Reply to: Aspirin for the prevention of stroke in adults"}, None),
        ({}, {"title": "Aspirin for the prevention of stroke in adults: a randomised trial"},
         "same title, year and first author"),
        ({"title": "Editorial"}, {"title": "Editorial"}, None),
        ({"title": "β-Blockers in 10% of patients with heart failure"},
         {"title": "Beta blockers in 10 % of patients with heart failure."}, "same title, year and first author"),
    ],
)  # fmt: skip
def test_what_is_one_work_and_what_is_not(one, other, reason):
    _, duplicates, _ = dedupe([made("one", **one), made("other", **other)])
    assert [entry.reason for entry in duplicates] == ([reason] if reason else [])


def test_a_title_alone_that_fits_two_works_is_neither():
    by_two = [made("first"), made("second", authors=("Jones, B",)), made("bare", authors=(), year=2010)]
    long = "Aspirin for the prevention of stroke in adults who smoke and drink"
    by_two = [msgspec.structs.replace(reference, title=long) for reference in by_two]
    assert dedupe(by_two)[1] == []
    assert [entry.kept for entry in dedupe(by_two[::2])[1]] == ["first"]


def test_a_preprint_is_told_and_kept():
    links = (Correction("UpdateIn", "J. 2021", 7),)
    preprint = Article(
        pmid=6, title="Masks and the spread of a virus", authors=(Author("Lee", "Ann"),), doi="10.1101/2020.1.2",
        publication_date=PartialDate(2020), publication_types=(PublicationType("Preprint"),), corrections=links,
    )  # fmt: skip
    published = Article(pmid=7, title="Do masks stop it?", authors=(Author("Lee", "Ann"),), doi="10.5/x")
    kept, duplicates, versions = dedupe([of_article(published), of_article(preprint)])
    assert len(kept) == 2 and duplicates == []
    assert [(entry.where, entry.kept, entry.reason) for entry in versions] == [("PMID 6", "PMID 7", "linked by NLM")]
    unlinked = msgspec.structs.replace(of_article(preprint), versions=(), pmid=None)
    later = Reference(
        where="later", title="Masks and the spread of a virus.", authors=("Lee, A.",), year=2021, doi="10.5/y"
    )
    assert [entry.reason for entry in dedupe([unlinked, later])[2]] == ["same title and first author"]
    assert dedupe([unlinked, msgspec.structs.replace(later, authors=("Other, B.",))])[2] == []


def test_files_of_several_databases(tmp_path):
    ris = tmp_path / "a.ris"
    ris.write_text(
        "".join(write_ris(made("x", title=f"{made('x').title} number {n}", doi=f"10.1000/{n}")) for n in range(3))
    )
    table = tmp_path / "b.csv"
    table.write_text(
        '\ufeffTitle,Authors,Year,DOI\r\n"Aspirin for the prevention of stroke in adults number 1","Smith J.",2010,\r\n'
        '"Another title of a work that is new",Lee A.,2012,https://doi.org/10.1000/2\r\n,,,\r\n'
    )
    found = dedupe_files([ris, table])
    assert found.counts == {"records identified": 5, "duplicates removed": 1, "records to screen": 4}
    assert found.removed == {str(ris): 0, str(table): 1}
    assert [rejection.where for rejection in found.rejections] == [f"{table} line 4"]
    (entry,) = found.duplicates
    assert (entry.where, entry.reason) == (f"{table} line 2", "same title, year and first author")
    # What is there already is neither counted nor kept.
    assert dedupe_files([ris], own=[made("own", doi="10.1000/0", title="")]).counts["records to screen"] == 2
    again = tmp_path / "kept.ris"
    again.write_text("".join(map(write_ris, found.kept)))
    assert [entry.title for entry in read_references(again)] == [entry.title for entry in found.kept]
    empty = tmp_path / "empty.ris"
    empty.write_text("")
    with pytest.raises(SourceError, match="is empty"):
        dedupe_files([ris, empty])
