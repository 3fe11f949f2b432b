"""References held against the index, and searches that are reported, on a folder and in PostgreSQL."""

import pytest
from helpers import article, put

from search.api import Index
from search.article import Author, Correction, PartialDate, PublicationType
from search.errors import SourceError

RETRACTED = (PublicationType("Retracted Publication"),)


def record(pmid, title, family="Smith", year=2010, **fields):
    return article(
        pmid,
        title,
        authors=(Author(family, "Jane"),),
        publication_date=PartialDate(year),
        doi=f"10.1000/{pmid}",
        **fields,
    )


ARTICLES = [
    record(11111, "Aspirin for the prevention of stroke in adults"),
    record(22222, "A trial that was taken back later on", publication_types=RETRACTED),
    record(33333, "Zebras and their stripes in the wild", corrections=(Correction("ErratumIn", "J. 2011", 9),)),
    record(44444, "An argument that rests on bad data", references=(22222,)),
    record(
        55555, "Something about which there is doubt", corrections=(Correction("ExpressionOfConcernIn", "J. 2012"),)
    ),
]


@pytest.fixture
def index(address, encoder):
    put(address, encoder, *ARTICLES, merge=True)
    opened = Index.open(address)
    opened._encoder = encoder
    yield opened
    opened.close()


def check(index, tmp_path, text, **options):
    path = tmp_path / "references.txt"
    path.write_text(text)
    report = index.check(path)
    return [[finding.problem for finding in entry.findings] for entry in report.checked], report


def test_a_list_of_identifiers(index, tmp_path):
    text = "11111\n22222\n10.1000/33333\n44444\n55555\n99999\n10.1000/11111\nnonsense\n"
    found, report = check(index, tmp_path, text)
    assert found == [
        [], ["retracted"], ["corrected"], ["cites retracted work"], ["concern"], ["not in the index"],
        ["duplicate"], ["unreadable"],
    ]  # fmt: skip
    assert [entry.pmid for entry in report.checked][:3] == [11111, 22222, 33333]
    assert report.counts["retracted"] == 1 and report.failed()
    assert report.checked[3].findings[0].told == "PMID 22222"


def ris(**fields):
    return "TY  - JOUR\n" + "".join(f"{tag}  - {value}\n" for tag, value in fields.items()) + "ER  - \n\n"


GOOD = {"AU": "Smith, J.", "TI": "Aspirin for the prevention of stroke in adults.", "PY": "2010", "DB": "PubMed"}


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"AN": "11111"}, []),
        ({"AN": "11111", "PY": "2011"}, []),
        ({"AN": "11111", "PY": "2015"}, ["its year is 2015 and PubMed's 2010"]),
        ({"AN": "11111", "AU": "Nobody, X."}, ["its first author is Nobody and PubMed's Smith"]),
        ({"AN": "11111", "TI": "A wholly invented title about fish"},
         ["PMID 11111 is 'Aspirin for the prevention of stroke in adults (2010)'"]),
        ({"AN": "11111", "DO": "10.1000/33333"},
         ["its PMID is that of 'Aspirin for the prevention of stroke in adults (2010)' and its DOI or PMCID that of "
          "PMID 33333"]),
        ({"DO": "10.1000/11111"}, []),
        ({}, []),
    ],
)  # fmt: skip
def test_what_a_reference_says_is_held_against_pubmed(index, tmp_path, fields, found):
    problems, report = check(index, tmp_path, ris(**{**GOOD, **fields}))
    assert [finding.told for finding in report.checked[0].findings] == found
    assert set(problems[0]) <= {"mismatch"} and report.checked[0].pmid == 11111
    assert report.failed() == bool(found)


def test_an_unknown_title_is_not_in_the_index_and_no_failure_unless_asked(index, tmp_path):
    found, report = check(index, tmp_path, ris(**{**GOOD, "TI": "Aspirin for the cure of baldness in old men"}))
    assert found == [["not in the index"]]
    assert not report.failed() and report.failed(strict=True)


def test_duplicates_in_a_list(index, tmp_path):
    found, report = check(index, tmp_path, ris(**GOOD, AN="11111") + ris(**{**GOOD, "TI": GOOD["TI"].upper()}))
    assert found == [[], ["duplicate"]]
    assert report.checked[1].findings[0].told.startswith(f"is the same as {tmp_path}/references.txt line 1 (same title")


def test_american_and_british_spellings_are_one_title(index, tmp_path):
    index.add([record(66666, "Tumour haemorrhage after ischaemic stroke in the behaviour centre")])
    text = ris(TI="Tumor hemorrhage after ischemic stroke in the behavior center", PY="2010")
    (entry,) = check(index, tmp_path, text)[1].checked
    assert (entry.pmid, entry.findings) == (66666, [])


def test_a_title_may_say_that_the_article_is_retracted(index, tmp_path):
    text = ris(TI="RETRACTED: A trial that was taken back later on", AU="Smith, J", PY="2010")
    text += ris(TI="A trial that was taken back later on", AU="Smith, J", PY="2010", DO="10.1000/22222")
    assert check(index, tmp_path, text)[0] == [["retracted"], ["retracted", "duplicate"]]


def test_what_only_retraction_watch_knows(index, tmp_path):
    columns = (
        "RetractionDate,RetractionDOI,RetractionPubMedID,OriginalPaperDOI,OriginalPaperPubMedID,RetractionNature,Reason"
    )
    (tmp_path / "list.csv").write_text(f"{columns}\n2/1/2023 0:00,,0,10.5555/x,0,Retraction,+Why;\n")
    index.add_retractions(tmp_path / "list.csv")
    assert check(index, tmp_path, "10.5555/X\n11111\n")[0] == [["retracted"], []]


def test_a_file_without_references(index, tmp_path):
    with pytest.raises(SourceError, match="is empty"):
        check(index, tmp_path, "")


def test_a_search_is_reported_with_the_numbers_of_other_databases(index, tmp_path):
    strategy = "#1 aspirin[ti]\n#2 zebras[ti]\n#3 #1 OR #2"
    for _ in range(2):
        index.save_search("mine", "", 10, mode="lexical", filters={"strategy": strategy})
    other = tmp_path / "embase.ris"
    other.write_text(ris(**GOOD) + ris(TI="Something that only Embase has about aspirin", AU="Lee, A.", PY="2001"))
    told = index.saved_report("mine", [other])
    for line in (
        "# Report of the search mine",
        "    #1  1  aspirin[ti]",
        "    #3  2  #1 OR #2",
        "- 12. Updates: 1 after the first run; see Runs",
    ):
        assert line in told
    numbers = [line.rpartition("  ")[::2] for line in told.splitlines() if line.startswith("    Rec")]
    assert [(name.strip(), int(count)) for name, count in numbers] == [
        ("Records identified by the search mine", 2), (f"Records identified in {other}", 2), ("Records to screen", 3),
    ]  # fmt: skip
    assert "Duplicates removed before screening" in told
    # The same runs give the same report.
    assert index.saved_report("mine", [other]) == told


def test_the_feed_of_a_search_is_well_formed_and_the_same_each_time(index, encoder, address):
    from xml.etree import ElementTree

    index.save_search("mine", 'aspirin <stroke> & "zebras"', 10, mode="lexical")
    put(address, encoder, record(66666, "New aspirin <i>results</i> & more"))
    again = record(11111, ARTICLES[0].title, revised="2025-01-01", publication_types=RETRACTED)
    put(address, encoder, again)
    index.new_results("mine")
    feed = index.saved_feed("mine", "https://example.org/feeds/mine.atom")
    assert feed == index.saved_feed("mine", "https://example.org/feeds/mine.atom")
    root = ElementTree.fromstring(feed)
    atom = "{http://www.w3.org/2005/Atom}"
    ids = [entry.findtext(f"{atom}id") for entry in root.iter(f"{atom}entry")]
    assert ids[:2] == ["urn:search:mine:retracted:11111", "urn:search:mine:found:66666"]
    assert len(ids) == len(set(ids)) == 4
    assert root.findtext(f"{atom}title") == 'mine: aspirin <stroke> & "zebras"'
