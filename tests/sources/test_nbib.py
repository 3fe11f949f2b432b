"""MEDLINE text: every tag in a record written for it, and what may be wrong with a file."""

from datetime import date

import pytest

from search.article import (
    AbstractSection,
    AccessionNumber,
    Article,
    ArticleId,
    Author,
    Book,
    Correction,
    Grant,
    Journal,
    Keyword,
    MeshHeading,
    MeshQualifier,
    OtherAbstract,
    PartialDate,
    PublicationType,
    Substance,
    SupplementaryConcept,
)
from search.errors import SourceError
from search.sources import Rejection, open_source

EVERY_TAG = """
PMID- 123
OWN - NLM
STAT- MEDLINE
DCOM- 20210102
LR  - 20220304
CI  - Copyright us.
IS  - 1111-1111 (Electronic)
IS  - 2222-2222 (Print)
IS  - 3333-3333 (Linking)
VI  - 12
IP  - 3 Suppl
DP  - 2020 Mar 4
TI  - A title that goes on
      over lines.
PG  - 1-9
LID - S1 [pii]
LID - 10.1/AbC [doi]
AB  - BACKGROUND: First (HR: 2). MATERIALS AND METHODS: Second. CI: is no label.
      CONCLUSION(S): Last.
OAB - Publisher: Otro resumen.
OABL- spa
OCI - Copyright them.
OAB - Plain.
FAU - van der Berg, Anna Maria Jr
AU  - van der Berg AM Jr
AUID- ORCID: http://orcid.org/0000-0001-2345-678X
AD  - First place.
AD  - Second place.
FAU - Li, X
AU  - Li X
AU  - Old ST 3rd
CN  - The Group
AD  - Of the group.
LA  - eng
LA  - spa
SI  - ClinicalTrials.gov/NCT01234567
SI  - GENBANK/A/B
GR  - R01 CA1/2/CA/NCI NIH HHS/United States
GR  - 081052/Wellcome Trust/United Kingdom
GR  - Somebody
PT  - Journal Article
PT  - Review
TT  - Un titulo.
DEP - 20200105
PL  - England
TA  - J Test
JT  - Journal of tests
JID - 987
RN  - 0 (Dyes (blue))
RN  - EC 1.1.1.1 (Enzyme)
NM  - Rare disease
MH  - *Aspirin/adverse effects/*therapeutic use
MH  - Humans
OTO - NOTNLM
OT  - *main word
OT  - other word
OTO - NASA
OT  - space
COIS- None.
FIR - Study, Ina
IR  - Study I
IRAD- Somewhere.
CIN - Lancet. 2021 Jan 2;1(2):3-4. PMID: 77
RIN - J Test. 2022 Mar;1(1):1. doi: 10.1/x. PMID: 78
EIN - J Test. 2021;
PMC - PMC55
MID - NIHMS9
OID - NASA: 00012
EDAT- 2020/03/05 06:00
CRDT- 2020/03/02 06:00
PHST- 2020/03/02 06:00 [entrez]
AID - S1 [pii]
AID - 10.1/aBC [doi]
PST - ppublish
XYZ - a tag that is not known
SO  - J Test. 2020 Mar 4;12(3 Suppl):1-9.
"""


def read(tmp_path, text):
    path = tmp_path / "records.nbib"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(open_source(path))


def one(tmp_path, *lines):
    (article,) = read(tmp_path, "\n".join(("PMID- 1", *lines)))
    return article


def test_every_tag(tmp_path):
    assert read(tmp_path, EVERY_TAG) == [
        Article(
            pmid=123,
            title="A title that goes on over lines.",
            vernacular_title="Un titulo.",
            abstract=(
                AbstractSection("First (HR: 2).", "BACKGROUND"),
                AbstractSection("Second. CI: is no label.", "MATERIALS AND METHODS"),
                AbstractSection("Last.", "CONCLUSION(S)"),
            ),
            copyright="Copyright us.",
            other_abstracts=(
                OtherAbstract((AbstractSection("Otro resumen."),), "Publisher", "spa", "Copyright them."),
                OtherAbstract((AbstractSection("Plain."),), None, "eng"),
            ),
            journal=Journal(
                "Journal of tests",
                medline_abbreviation="J Test",
                issn="1111-1111",
                issn_linking="3333-3333",
                nlm_id="987",
                country="England",
            ),
            volume="12",
            issue="3 Suppl",
            pages="1-9",
            publication_date=PartialDate(2020, 3, 4),
            electronic_date=PartialDate(2020, 1, 5),
            languages=("eng", "spa"),
            authors=(
                Author(
                    "van der Berg",
                    "Anna Maria",
                    "AM",
                    "Jr",
                    orcid="0000-0001-2345-678X",
                    affiliations=("First place.", "Second place."),
                ),
                Author("Li", "X", "X"),
                Author("Old", None, "ST", "3rd"),
                Author(collective_name="The Group", affiliations=("Of the group.",)),
            ),
            investigators=(Author("Study", "Ina", "I", affiliations=("Somewhere.",)),),
            mesh_headings=(
                MeshHeading(
                    "Aspirin",
                    major=True,
                    qualifiers=(MeshQualifier("adverse effects"), MeshQualifier("therapeutic use", major=True)),
                ),
                MeshHeading("Humans"),
            ),
            supplementary_concepts=(SupplementaryConcept("Rare disease"),),
            keywords=(
                Keyword("main word", True, "NOTNLM"),
                Keyword("other word", False, "NOTNLM"),
                Keyword("space", False, "NASA"),
            ),
            publication_types=(PublicationType("Journal Article"), PublicationType("Review")),
            substances=(
                Substance("Dyes (blue)", registry_number="0"),
                Substance("Enzyme", registry_number="EC 1.1.1.1"),
            ),
            doi="10.1/AbC",
            pmcid="PMC55",
            other_ids=(ArticleId("pii", "S1"), ArticleId("mid", "NIHMS9"), ArticleId("NASA", "00012")),
            accession_numbers=(AccessionNumber("ClinicalTrials.gov", "NCT01234567"), AccessionNumber("GENBANK", "A/B")),
            grants=(
                Grant("R01 CA1/2", "CA", "NCI NIH HHS", "United States"),
                Grant("081052", None, "Wellcome Trust", "United Kingdom"),
                Grant(agency="Somebody"),
            ),
            corrections=(
                Correction("CommentIn", "Lancet. 2021 Jan 2;1(2):3-4.", 77),
                Correction("RetractionIn", "J Test. 2022 Mar;1(1):1. doi: 10.1/x.", 78),
                Correction("ErratumIn", "J Test. 2021;"),
            ),
            coi_statement="None.",
            created=date(2020, 3, 2),
            completed=date(2021, 1, 2),
            revised=date(2022, 3, 4),
            status="MEDLINE",
            publication_status="ppublish",
        )
    ]


def test_a_chapter_of_a_book(tmp_path):
    article = one(
        tmp_path,
        "STAT- Publisher",
        "DRDT- 20190404",
        "CTDT- 20090630",
        "PB  - University of Washington, Seattle",
        "PL  - Seattle (WA)",
        "DP  - 1993",
        "TI  - Feingold Syndrome 1.",
        "BTI - GeneReviews(R)",
        "CTI - Collection",
        "EN  - 2nd",
        "ISBN- 9781234567890 (electronic)",
        "AB  - CLINICAL CHARACTERISTICS: One. DIAGNOSIS/TESTING: Two.",
        "FED - Adam, Margaret P",
        "ED  - Adam MP",
        "FAU - Marcelis, Carlo L M",
        "AU  - Marcelis CLM",
    )
    assert article.book == Book(
        "GeneReviews(R)",
        "University of Washington, Seattle",
        "Seattle (WA)",
        "2nd",
        ("9781234567890",),
        (Author("Adam", "Margaret P"),),
        "Collection",
    )
    assert (article.title, article.journal) == ("Feingold Syndrome 1.", Journal())
    assert [section.label for section in article.abstract] == ["CLINICAL CHARACTERISTICS", "DIAGNOSIS/TESTING"]
    assert (article.electronic_date, article.revised) == (PartialDate(2009, 6, 30), date(2019, 4, 4))
    assert article.authors == (Author("Marcelis", "Carlo L M", "CLM"),)


def test_the_affiliation_before_the_authors_is_the_first_ones(tmp_path):
    article = one(tmp_path, "TI  - T", "AD  - Here.", "FAU - A, B", "AU  - A B", "FAU - C, D", "AU  - C D")
    assert [author.affiliations for author in article.authors] == [("Here.",), ()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2004", PartialDate(2004)),
        ("2004 Dec", PartialDate(2004, 12)),
        ("2004 Summer", PartialDate(2004, season="Summer")),
        ("1998 Dec-1999 Jan", PartialDate(1998, 12, medline_date="1998 Dec-1999 Jan")),
        ("2019 Sep-Oct", PartialDate(2019, 9, medline_date="2019 Sep-Oct")),
    ],
)
def test_dates_of_publication(tmp_path, text, expected):
    assert one(tmp_path, "TI  - T", f"DP  - {text}").publication_date == expected


def test_a_missing_label_or_title(tmp_path):
    assert one(tmp_path, "AB  - Plain text. METHODS: not taken apart.").abstract_text.startswith("Plain text. METHODS")
    assert one(tmp_path, "AB  - METHODS: A. RESULTS: ").abstract == (AbstractSection("A. RESULTS:", "METHODS"),)
    assert one(tmp_path, "TT  - Nur deutsch.").title == "Nur deutsch."


def test_several_records_with_and_without_empty_lines(tmp_path):
    found = read(tmp_path, "PMID- 1\r\nTI  - a\r\n\r\n\r\nPMID- 2\r\nTI  - b\nPMID- 2\nTI  - c\n")
    assert [(article.pmid, article.title) for article in found] == [(1, "a"), (2, "b"), (2, "c")]


@pytest.mark.parametrize(
    ("bad", "reason", "pmid"),
    [
        ("PMID- \nTI  - x", "no PMID", None),
        ("TI  - x", "no PMID", None),
        ("PMID- x1\nTI  - x", "the PMID 'x1' is not", None),
        ("PMID- 0\nTI  - x", "the PMID 0 is not between", None),
        ("PMID- 5\nOWN - NLM", "no title and no abstract", 5),
        (b"PMID- 5\nTI  - caf\xe9", "not valid UTF-8", None),
    ],
)
def test_a_bad_record_is_rejected_and_the_next_is_read(tmp_path, bad, reason, pmid):
    bad = bad.encode() if isinstance(bad, str) else bad
    first, rejected, last = read(tmp_path, b"PMID- 1\nTI  - a\n\n" + bad + b"\n\nPMID- 2\nTI  - b\n")
    assert (first.pmid, last.pmid) == (1, 2)
    assert isinstance(rejected, Rejection) and reason in rejected.reason
    assert (rejected.where, rejected.pmid) == (f"{tmp_path / 'records.nbib'} line 4", pmid)


def test_a_line_without_end(tmp_path, monkeypatch):
    from search.sources import nbib

    monkeypatch.setattr(nbib, "_MAX_RECORD", 1000)
    with pytest.raises(SourceError, match=r"records\.nbib: line 5: a record of more than"):
        read(tmp_path, "PMID- 1\nTI  - a\n\nPMID- 2\nTI  - " + "x" * 2000)
