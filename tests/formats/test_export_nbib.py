"""MEDLINE text read back by a reader as plain as those of other tools: a tag in four columns, continuation lines."""

import unicodedata
from collections import defaultdict

import nbib
import pytest
from Bio import Medline
from export_articles import ALL, CHAPTER, SAMPLE, TRICKY, articles
from hypothesis import HealthCheck, given, settings

from search.article import Article, Author, Correction, Journal, Keyword, PartialDate
from search.formats.medline.correction_tags import CORRECTION_TAGS
from search.formats.medline.write import render
from search.normalize import clean


def read(text):
    """Return the records as {tag: [value, ...]}; a record ends at a blank line."""
    records, record, tag = [], defaultdict(list), ""
    for line in text.split("\n"):
        if not line:
            if record:
                records.append(dict(record))
            record = defaultdict(list)
        elif line.startswith("      "):
            record[tag][-1] += " " + line[6:]
        else:
            tag = line[:4].rstrip()
            assert line[4:6] == "- ", line
            record[tag].append(line[6:])
    return records


def test_a_tricky_article_comes_back_whole():
    (record,) = read(render(TRICKY))
    assert record == {
        "PMID": ["12345678"],
        "STAT": ["MEDLINE"],
        "DCOM": ["20040501"],
        "LR": ["20100102"],
        "IS": ["1234-5678 (Print)", "8765-4321 (Linking)"],
        "VI": ["12 Suppl 1"],
        "IP": ["3 Pt 2"],
        "DP": ["2004 Mar 17"],
        "TI": [TRICKY.title],
        "PG": ["S123-9"],
        "LID": ["e77 [pii]", f"{TRICKY.doi} [doi]"],
        "AB": [clean(TRICKY.labelled_abstract)],
        "CI": ["© 2004 The Authors"],
        "OAB": ["Publisher: BUT: Résumé."],
        "OABL": ["fre"],
        "FAU": [
            "van der Berg, Jan Peter Jr",
            "O'Brien-Núñez, Íñigo",
            "Silva e Costa, Maria",
            "Smith and Wesson, Ann",
            "'t Hooft, G",
            "King, M L 3rd",
            "王, 小明",
            "Anderson, Others And",
            "Aristotle",
        ],
        "AU": [*(str(author) for author in TRICKY.authors if author.last_name), "et al"],
        "AUID": ["ORCID: 0000-0001-2345-6789"],
        "AD": ["Dept; of A, Ghent"],
        "CN": ["World Health Organization and the {COVID}, 50% Group"],
        "FIR": ["Doe, Jane"],
        "IR": ["Doe J"],
        "IRAD": ["Ward 1"],
        "LA": ["eng", "ger"],
        "SI": ["ClinicalTrials.gov/NCT01234567", "GENBANK"],
        "GR": ["R01 HL1/HL/NHLBI NIH HHS/United States"],
        "PT": ["Journal Article", "Research Support, Non-U.S. Gov't"],
        "DEP": ["20031223"],
        "PL": ["England"],
        "TT": ["Über die Wirkung von Sauerstoff"],
        "TA": ["J Odd Ends"],
        "JT": ["The Journal of {Odd} & Ends (Oxford, England)"],
        "JID": ["0042"],
        "RN": ["S88TT14065 (Oxygen)", "0 (Placebos)"],
        "NM": ["COVID-19 drug treatment"],
        "MH": ["*Databases, Protein", "Asthma/*drug therapy/genetics"],
        "OTO": ["NOTNLM"],
        "OT": ["*β-blocker", "cost, effectiveness"],
        "COIS": ["None declared."],
        "EIN": ["J Odd Ends. 2004;13:1 PMID: 111"],
        "RIN": ["J Odd Ends. 2005;14:2 PMID: 222"],
        "CON": ["Lancet. 2003;1:1 PMID: 333"],
        "PMC": ["PMC1234567"],
        "MID": ["NIHMS123"],
        "CRDT": ["2004/03/20 05:30"],
        "EDAT": ["2004/03/21 06:00"],
        "MHDA": ["2004/05/02 05:00"],
        "PHST": [
            "2003/05/06 00:00 [received]",
            "2004/03/20 05:30 [entrez]",
            "2004/03/21 06:00 [pubmed]",
            "2004/05/02 05:00 [medline]",
        ],
        "PUBM": ["Print-Electronic"],
        "GS": ["p53", "ras"],
        "FPS": ["Curie, Marie", "Doe, John Sr"],
        "PS": ["Curie M", "Doe J Sr"],
        "SFM": ["Flight Experiment; STS-40; short duration"],
        "SB": ["IM", "S"],
        "GN": ["KIE Bib: ethics; 20 refs."],
        "RF": ["42"],
        "AID": ["e77 [pii]", "S0140-6736(04)1 [pii]", f"{TRICKY.doi} [doi]"],
        "PST": ["ppublish"],
        "SO": [f"J Odd Ends. 2004 Mar 17;12 Suppl 1(3 Pt 2):S123-9. doi: {TRICKY.doi}. Epub 2003 Dec 23."],
    }


def test_it_looks_like_pubmeds():
    text = render(TRICKY)
    assert text.startswith("PMID- 12345678\nSTAT- MEDLINE\nDCOM- 20040501\nLR  - 20100102\nIS  - 1234-5678 (Print)\n")
    assert text.endswith(".\n\n") and "\n\n" not in text[:-2]
    # Doi and other words without a space are never broken, whatever their length.
    assert max(len(line) for line in text.split("\n") if " " in line[6:]) <= 88
    # One who reads on from the tag of an author finds what belongs to that author.
    assert "AU  - van der Berg JP Jr\nAUID- ORCID: 0000-0001-2345-6789\nAD  - Dept; of A, Ghent\nFAU - O'Brien" in text


def test_a_chapter():
    (record,) = read(render(CHAPTER))
    assert (
        record["BTI"] == ["GeneReviews®"] and record["CTI"] == ["NCBI Bookshelf"] and record["PL"] == ["Seattle (WA)"]
    )
    assert record["FED"] == ["Adam, Margaret P", "Editorial Board"] and record["ED"] == ["Adam MP"]
    assert record["ISBN"] == ["9780000000002", "9780000000019"] and record["PB"] == ["University of Washington"]


@pytest.mark.parametrize(
    ("day", "shown"),
    [
        (PartialDate(2006), "2006"),
        (PartialDate(2006, 3), "2006 Mar"),
        (PartialDate(2006, 3, 1), "2006 Mar 1"),
        (PartialDate(2004, season="Summer"), "2004 Summer"),
        (PartialDate(2015, medline_date="2015 Oct-Dec"), "2015 Oct-Dec"),
    ],
)
def test_dates(day, shown):
    assert f"\nDP  - {shown}\n" in render(Article(pmid=1, publication_date=day))


def test_owners_of_keywords_are_named_where_they_change():
    article = Article(
        pmid=1, keywords=(Keyword("a", owner="NOTNLM"), Keyword("b", owner="NOTNLM"), Keyword("c", owner="KIE"))
    )
    assert "\nOTO - NOTNLM\nOT  - a\nOT  - b\nOTO - KIE\nOT  - c\n" in render(article)


def test_the_place_of_an_article_without_pages_is_written_as_pubmed_writes_it():
    article = Article(
        pmid=1,
        title="T",
        journal=Journal(medline_abbreviation="Int J Mol Sci"),
        volume="25",
        issue="18",
        article_number="9966",
        publication_date=PartialDate(2024, 9, 15),
        electronic_date=PartialDate(2024, 9, 15),
        publication_model="Electronic",
        doi="10.3390/ijms25189966",
    )
    text = render(article)
    assert "\nLID - 9966\nLID - 10.3390/ijms25189966 [doi]\n" in text and "PG  -" not in text
    assert text.endswith("SO  - Int J Mol Sci. 2024 Sep 15;25(18):9966. doi: 10.3390/ijms25189966.\n\n")


@pytest.mark.parametrize("article", ALL, ids=lambda article: str(article.pmid))
def test_other_readers_read_it(article, tmp_path):
    path = tmp_path / "a.nbib"
    path.write_text(render(article), encoding="utf-8")
    (record,) = nbib.read_file(str(path))
    assert record["pubmed_id"] == article.pmid and record.get("title", "") == clean(article.title)
    assert record.get("print_issn") == article.journal.issn and record.get("doi") == article.doi
    with path.open(encoding="utf-8") as stream:
        (theirs,) = Medline.parse(stream)
    assert theirs["PMID"] == str(article.pmid) and theirs.get("AB", "") == clean(article.labelled_abstract)
    assert theirs.get("GS", []) == list(article.gene_symbols)
    assert theirs.get("SB", "") == " ".join(article.citation_subsets)


def test_a_sample_record_says_so():
    assert "\nGN  - NOT A REAL STUDY:" in render(SAMPLE)


def test_every_kind_of_correction_has_a_tag_of_at_most_four_letters():
    for kind, tag in CORRECTION_TAGS.items():
        article = Article(pmid=1, corrections=(Correction(kind, "J. 1;2", 3),))
        assert f"\n{tag:<4}- J. 1;2 PMID: 3\n" in render(article) and len(tag) <= 4


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(article=articles)
def test_any_text_stays_in_its_field(article):
    (record,) = read(render(article))
    assert record["PMID"] == [str(article.pmid)]
    assert record.get("TI", [""]) == [clean(article.title)]
    assert record.get("AB", [""]) == [clean(article.labelled_abstract)]
    assert record.get("PG", [""]) == [clean(article.pages)]
    assert record.get("LA", []) == [clean(language) for language in article.languages if clean(language)]
    groups = [clean(author.collective_name) for author in article.authors if clean(author.collective_name)]
    assert record.get("CN", []) == groups
    assert not [c for values in record.values() for value in values for c in value if unicodedata.category(c) == "Cc"]


def test_an_author_with_nothing_but_initials():
    (record,) = read(render(Article(pmid=1, authors=(Author("Smith", None, "JA"),))))
    assert (record["FAU"], record["AU"]) == (["Smith, J A"], ["Smith JA"])
