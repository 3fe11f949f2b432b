"""MEDLINE text: what the export writes comes back, every tag is read, and broken input is named."""

import gzip
import tracemalloc
from datetime import date

import pytest
from export_articles import ALL, CHAPTER, TRICKY, articles
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

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
from search.formats.base import Rejection
from search.formats.byte_stream import ByteStream
from search.formats.citation_fields import given_name
from search.formats.medline.correction_tags import CORRECTION_TAGS
from search.formats.medline.lines import NbibSource
from search.formats.medline.write import render
from search.normalize import clean


class Pieces:
    """A stream of given pieces, which may break off."""

    name = "a.nbib"

    def __init__(self, *pieces, problem=None):
        self._pieces = pieces
        self._problem = problem

    def pieces(self):
        yield from self._pieces
        if self._problem:
            raise self._problem


def read(text):
    return list(NbibSource(Pieces(text.encode() if isinstance(text, str) else text)))


def read_one(*lines):
    """Return the article that has these lines beside PMID and title."""
    (article,) = read("\n".join(["PMID- 1", "TI  - T", *lines]))
    return article


def tidy(text):
    return " ".join(clean(text).split())


# Round trips


def expected(article):
    """Return an article without what the format has no place for."""
    people = {
        name: tuple(
            author
            if author.collective_name
            else structs.replace(author, fore_name=given_name(author) or None)
            if author.last_name != "Aristotle"
            else author
            for author in getattr(article, name)
        )
        for name in ("authors", "investigators")
    }
    return structs.replace(
        article,
        title=article.title or (article.book.title if article.book else ""),
        abstract=(),
        other_abstracts=(),
        journal=structs.replace(article.journal, iso_abbreviation=None),
        mesh_headings=tuple(structs.replace(heading, ui=None) for heading in article.mesh_headings),
        supplementary_concepts=tuple(SupplementaryConcept(concept.name) for concept in article.supplementary_concepts),
        substances=tuple(
            Substance(substance.name, registry_number=substance.registry_number or "0")
            for substance in article.substances
        ),
        other_ids=tuple(sorted(article.other_ids, key=lambda other: other.kind != "mid")),
        **people,
    )


@pytest.mark.parametrize("article", ALL, ids=lambda article: str(article.pmid))
def test_an_exported_article_comes_back(article):
    (found,) = read(render(article))
    assert structs.replace(found, abstract=(), other_abstracts=()) == expected(article)
    assert tidy(found.labelled_abstract) == tidy(article.labelled_abstract)


def test_the_abstracts_of_an_exported_article_come_back_in_sections():
    (found,) = read(render(TRICKY))
    first, second, third = TRICKY.abstract
    assert found.abstract == (
        AbstractSection(tidy(first.text), "BACKGROUND"),
        # Where a section without a label begins, nothing shows.
        AbstractSection(f"{tidy(second.text)} {third.text}", "METHODS AND RESULTS"),
    )
    assert found.other_abstracts == (OtherAbstract((AbstractSection("BUT: Résumé."),), "Publisher", "fre"),)


_words = st.text("abcdeéßα中 -'.,:()<>&%\u00a0", min_size=1, max_size=30).map(tidy).filter(bool)
_names = st.text("abcdeé-", min_size=2, max_size=9).map(str.capitalize)
_people = st.lists(
    st.builds(
        lambda last, fore, suffix, orcid, places: Author(
            last, fore, fore[0], suffix, orcid=orcid, affiliations=tuple(places)
        ),
        _names,
        _names,
        st.sampled_from([None, "Jr", "3rd"]),
        st.sampled_from([None, "0000-0001-2345-678X"]),
        st.lists(_words, max_size=2),
    )
    | st.builds(lambda name: Author(collective_name=name), _words),
    max_size=4,
).map(tuple)


def _some(strategy):
    return st.lists(strategy, max_size=3).map(tuple)


_carried = st.builds(
    Article,
    pmid=st.integers(1, 99_999_999),
    title=_words,
    vernacular_title=st.none() | _words,
    abstract=st.just(()) | _words.map(lambda text: (AbstractSection(text),)),
    copyright=st.none() | _words,
    journal=st.builds(Journal, st.none() | _words, medline_abbreviation=st.none() | _words, country=st.none() | _words),
    volume=st.none() | _words,
    publication_date=st.builds(PartialDate, st.integers(1500, 2099), st.integers(1, 12), st.none() | st.integers(1, 28))
    | st.builds(PartialDate, st.integers(1500, 2099), season=st.sampled_from(["Winter", "Fall", "Autumn"])),
    electronic_date=st.none() | st.builds(PartialDate, st.integers(1500, 2099), st.none() | st.integers(1, 12)),
    authors=_people,
    mesh_headings=_some(
        st.builds(
            MeshHeading,
            _names,
            major=st.booleans(),
            qualifiers=_some(st.builds(MeshQualifier, _names, major=st.booleans())),
        )
    ),
    keywords=_some(st.builds(Keyword, _words, st.booleans(), st.just("NOTNLM"))),
    publication_types=_some(st.builds(PublicationType, _words)),
    substances=_some(st.builds(Substance, _names, registry_number=st.sampled_from(["0", "EC 1.1.1.-", "50-78-2"]))),
    accession_numbers=_some(st.builds(AccessionNumber, _names, _names)),
    corrections=_some(
        st.builds(Correction, st.sampled_from(["RetractionIn", "CommentOn"]), _words, st.none() | st.integers(1, 999))
    ),
    created=st.none() | st.dates(date(1900, 1, 1), date(2099, 1, 1)),
    revised=st.none() | st.dates(date(1900, 1, 1), date(2099, 1, 1)),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(found=st.lists(_carried, max_size=3), newline=st.sampled_from(["\n", "\r\n", "\r"]), size=st.integers(1, 200))
def test_whatever_the_format_carries_comes_back(found, newline, size):
    data = "".join(map(render, found)).replace("\n", newline).encode()
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    assert list(NbibSource(Pieces(*pieces))) == found


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(article=articles)
def test_no_text_of_any_article_is_lost(article):
    (found,) = read(render(article))
    title = tidy(article.title) or tidy(article.book.title if article.book else "")
    abstract = tidy(article.labelled_abstract)
    if not title and not abstract:
        assert found == Rejection("a.nbib line 1", "no title and no abstract", article.pmid)
        return
    assert (found.pmid, found.title, tidy(found.labelled_abstract)) == (article.pmid, title, abstract)


def test_every_kind_of_correction_that_is_written_is_read():
    # Reprints have no tag of their own.
    kinds = [kind for kind in CORRECTION_TAGS if not kind.startswith("Reprint")]
    links = tuple(Correction(kind, "J. 1;2", 3) for kind in kinds)
    (found,) = read(render(Article(pmid=1, title="T", corrections=links)))
    assert found.corrections == links


# Tags


RECORD = """\
PMID- 21249755
OWN - NLM
STAT- MEDLINE
DA  - 20110121
DCOM- 20110202
LR  - 20200303
IS  - 1476-5616 (Electronic)
IS  - 0033-3506 (Print)
IS  - 0033-3507 (Linking)
VI  - 129
IP  - 5
DP  - 1998 Dec-1999 Jan
TI  - A title that goes on
      in the next line.
PG  - 475-82
LID - 10.1016/j.x.2015.01.018 [doi]
LID - S0033-3506(15)00037-2 [pii]
AB  - AIMS: To read. MATERIALS AND METHODS: Tags. NOTE: not a label, RESULTS: nor this.
      MAIN OUTCOME MEASURES: Values.
CI  - (c) 2011
OAB - PIP: A summary.
OABL- eng
OCI - (c) PIP
OAB - Resumen.
OABL- spa
FAU - Smith, John A Jr
AU  - Smith JA Jr
AUID- ORCID: https://orcid.org/0000-0001-2345-678X
AUID- ISNI: 1
AD  - One, Here.
AD  - Two, There.
FAU - Ivanov, Ivan I
AU  - Ivanov II
AU  - van der Berg JP
AU  - et al.
CN  - A Group
AD  - Its place
FIR - Doe, Jane
IR  - Doe J
IRAD- Ward 1
LA  - eng
LA  - fre
SI  - ClinicalTrials.gov/NCT01234567
GR  - R01 HL1/HL/NHLBI NIH HHS/United States
GR  - 12/34/5/WT_/Wellcome Trust/United Kingdom
GR  - MC_U1/Medical Research Council/United Kingdom
GR  - Howard Hughes Medical Institute/United States
GR  - 81670462/National Fund/
GR  - 123
PT  - Journal Article
DEP - 20110118
PL  - England
TT  - Titel
TA  - J Tags
JT  - Journal of tags
JID - 0376507
RN  - 0 (Placebos)
RN  - R16CO5Y76E (Aspirin)
RN  - EC 3.6.1.- (GTP Phosphohydrolases (GTPase))
NM  - COVID-19 drug treatment
MH  - *Asthma/drug therapy/*genetics
OTO - KIE
OT  - ethics
OTO - NOTNLM
OT  - *tags
COIS- None.
CIN - Lancet. 2005;366(9487):712-3. PMID: 16125575
EIN - J Tags. 2012 Jan;1(1):2
PMC - PMC38908
MID - NIHMS123
EDAT- 2011/01/21 06:00
CRDT- 2011/01/20 06:00
AID - S0033-3506(15)00037-2 [pii]
AID - 10.1016/j.x.2015.01.018 [doi]
AID - NBK1826 [bookaccession]
PST - ppublish
SO  - J Tags. 1998.
XYZ - Not known.
"""


def test_all_tags():
    (found,) = read(RECORD)
    assert found == Article(
        pmid=21249755,
        title="A title that goes on in the next line.",
        vernacular_title="Titel",
        abstract=(
            AbstractSection("To read.", "AIMS"),
            AbstractSection("Tags. NOTE: not a label, RESULTS: nor this.", "MATERIALS AND METHODS"),
            AbstractSection("Values.", "MAIN OUTCOME MEASURES"),
        ),
        copyright="(c) 2011",
        other_abstracts=(
            OtherAbstract((AbstractSection("A summary."),), "PIP", "eng", "(c) PIP"),
            OtherAbstract((AbstractSection("Resumen."),), None, "spa"),
        ),
        journal=Journal(
            "Journal of tags",
            medline_abbreviation="J Tags",
            issn="1476-5616",
            issn_linking="0033-3507",
            nlm_id="0376507",
            country="England",
            issn_type="Electronic",
        ),
        volume="129",
        issue="5",
        pages="475-82",
        article_number="S0033-3506(15)00037-2",
        publication_date=PartialDate(1998, 12, medline_date="1998 Dec-1999 Jan"),
        electronic_date=PartialDate(2011, 1, 18),
        languages=("eng", "fre"),
        authors=(
            Author(
                "Smith",
                "John A",
                "JA",
                "Jr",
                orcid="0000-0001-2345-678X",
                affiliations=("One, Here.", "Two, There."),
            ),
            Author("Ivanov", "Ivan I", "II"),
            Author("van der Berg", initials="JP"),
            Author(collective_name="A Group", affiliations=("Its place",)),
        ),
        authors_complete=False,
        investigators=(Author("Doe", "Jane", "J", affiliations=("Ward 1",)),),
        mesh_headings=(
            MeshHeading(
                "Asthma", major=True, qualifiers=(MeshQualifier("drug therapy"), MeshQualifier("genetics", major=True))
            ),
        ),
        supplementary_concepts=(SupplementaryConcept("COVID-19 drug treatment"),),
        keywords=(Keyword("ethics", owner="KIE"), Keyword("tags", True, "NOTNLM")),
        publication_types=(PublicationType("Journal Article"),),
        substances=(
            Substance("Placebos", registry_number="0"),
            Substance("Aspirin", registry_number="R16CO5Y76E"),
            Substance("GTP Phosphohydrolases (GTPase)", registry_number="EC 3.6.1.-"),
        ),
        doi="10.1016/j.x.2015.01.018",
        pmcid="PMC38908",
        other_ids=(
            ArticleId("mid", "NIHMS123"),
            ArticleId("pii", "S0033-3506(15)00037-2"),
            ArticleId("bookaccession", "NBK1826"),
        ),
        accession_numbers=(AccessionNumber("ClinicalTrials.gov", "NCT01234567"),),
        grants=(
            Grant("R01 HL1", "HL", "NHLBI NIH HHS", "United States"),
            Grant("12/34/5", "WT_", "Wellcome Trust", "United Kingdom"),
            Grant("MC_U1", None, "Medical Research Council", "United Kingdom"),
            Grant(None, None, "Howard Hughes Medical Institute", "United States"),
            Grant("81670462", None, "National Fund"),
            Grant("123"),
        ),
        corrections=(
            Correction("CommentIn", "Lancet. 2005;366(9487):712-3.", 16125575),
            Correction("ErratumIn", "J Tags. 2012 Jan;1(1):2"),
        ),
        coi_statement="None.",
        created=date(2011, 1, 21),
        completed=date(2011, 2, 2),
        revised=date(2020, 3, 3),
        status="MEDLINE",
        publication_status="ppublish",
    )


def test_a_chapter():
    (found,) = read(
        "PMID- 5\nCTDT- 20080718\nDRDT- 20080809\nTI  - Chapter\nBTI - Book\nCTI - Series\nPB  - Press\nEN  - 2nd\n"
        "ISBN- 1\nISBN- 2\nFED - Roe, R\nED  - Roe R\nFED - Board\nFAU - Poe, P\nAU  - Poe P\nPL  - Bethesda (MD)\n"
    )
    editors = (Author("Roe", "R", "R"), Author(collective_name="Board"))
    assert found == Article(
        pmid=5,
        title="Chapter",
        book=Book("Book", "Press", "Bethesda (MD)", "2nd", ("1", "2"), editors, "Series"),
        authors=(Author("Poe", "P", "P"),),
        electronic_date=PartialDate(2008, 7, 18),
        revised=date(2008, 8, 9),
    )
    assert [a.book for a in read(render(CHAPTER))] == [CHAPTER.book]


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2002", PartialDate(2002)),
        ("2002 Sep", PartialDate(2002, 9)),
        ("2004 Mar 17", PartialDate(2004, 3, 17)),
        ("2003 Summer", PartialDate(2003, season="Summer")),
        ("2015 Oct-Dec", PartialDate(2015, 10, medline_date="2015 Oct-Dec")),
        ("2000 1st Quart", PartialDate(2000, medline_date="2000 1st Quart")),
        ("0000", PartialDate(medline_date="0000")),
    ],
)
def test_dates(text, day):
    assert read_one(f"DP  - {text}").publication_date == day


def test_days_that_are_none():
    found = read_one("DCOM- 20110231", "LR  - soon", "DEP - 2011")
    assert (found.completed, found.revised, found.electronic_date) == (None, None, PartialDate(2011))


def test_the_day_of_entry_stands_in_for_that_of_creation():
    assert read_one("CRDT- 2011/01/20 06:00").created == date(2011, 1, 20)


def test_an_affiliation_before_all_authors_is_the_first_ones():
    found = read_one("AD  - Here", "FAU - Roe, R", "AU  - Roe R", "FAU - Poe, P", "AU  - Poe P")
    assert [author.affiliations for author in found.authors] == [("Here",), ()]


def test_a_further_doi_and_an_identifier_without_a_kind():
    found = read_one("AID - 10.1/a", "AID - 10.1/A [doi]", "AID - 10.1/b [doi]", "AID - odd")
    assert (found.doi, found.other_ids) == ("10.1/a", (ArticleId("doi", "10.1/b"),))


@pytest.mark.parametrize(
    "text",
    [
        "Labels such as METHODS: stand at the start of a sentence.",
        "ASTHMA: a review.",
        "Methods: small letters are no mark of a label.",
        "A ratio of 1. OF: THE: no.",
        "RESULTS:",
    ],
)
def test_no_label_is_made_up(text):
    assert read_one(f"AB  - {text}").abstract == (AbstractSection(text),)


@pytest.mark.parametrize(
    "label", ["MAIN OUTCOME MEASURE(S)", "AUTHORS' CONCLUSIONS", "BACKGROUND/AIMS", "DESIGN, SETTING, AND PARTICIPANTS"]
)
def test_labels_of_several_words(label):
    assert read_one(f"AB  - Why? {label}: What.").abstract == (AbstractSection("Why?"), AbstractSection("What.", label))


# Lines and records


def test_records_are_parted_by_blank_lines_or_the_next_pmid():
    text = "\n\n1: found\nPMID- 1\nTI  - One\n\n\n2: found\n\nPMID- 2\nTI  - Two\nPMID- 3\nTI  - Three"
    assert [(found.pmid, found.title) for found in read(text)] == [(1, "One"), (2, "Two"), (3, "Three")]


def test_lines_that_go_on():
    found = read_one("AB  - One ", "      two", "      ", "      TI  - three", "not indented", "", "      and last.")
    assert found.abstract == (AbstractSection("One two TI - three not indented and last."),)
    assert found.title == "T"


@pytest.mark.parametrize("newline", ["\r\n", "\r"])
def test_other_line_ends(newline):
    data = RECORD.replace("\n", newline).encode()
    halves = [list(NbibSource(Pieces(data[:cut], data[cut:]))) for cut in range(0, 40)]
    assert all(found == read(RECORD) for found in halves)


@pytest.mark.parametrize(
    ("text", "reason", "pmid"),
    [
        ("TI  - T", "no PMID", None),
        ("PMID- \nTI  - T", "no PMID", None),
        ("PMID- 12x\nTI  - T", "the PMID '12x' is not a positive whole number", None),
        ("PMID- 0\nTI  - T", f"the PMID 0 is not between 1 and {2**53 - 1}", None),
        ("PMID- 7\nVI  - 3\nTI  -", "no title and no abstract", 7),
        (b"PMID- 7\nTI  - Caf\xe9", "the field TI is not valid UTF-8; save the file in UTF-8", 7),
    ],
)
def test_a_record_that_cannot_be_used(text, reason, pmid):
    text = text.encode() if isinstance(text, str) else text
    before, found, after = read(b"junk\nPMID- 1\nTI  - One\n\n" + text + b"\n\nPMID- 2\nTI  - Two\n")
    assert found == Rejection("a.nbib line 5", reason, pmid)
    assert (before.pmid, after.pmid) == (1, 2)


@pytest.mark.parametrize("text", ["", "\n\n", "no record at all\n"])
def test_no_record(text):
    assert read(text) == []


def test_a_record_that_never_ends_is_left_out_in_bounded_memory():
    def pieces():
        yield b"PMID- 1\nTI  - One\n\nPMID- 2\nTI  - "
        for _ in range(64):
            yield b"x" * (1 << 20)
        yield b"\nAB  - y\n"
        for _ in range(64):
            yield (b"      " + b"z" * 10_000 + b"\n") * 100
        yield b"\nPMID- 3\nTI  - Three\n"

    tracemalloc.start()
    found = list(NbibSource(_lazy(pieces)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [getattr(entry, "title", entry) for entry in found] == [
        "One",
        Rejection("a.nbib line 4", "the record is longer than 8 MB", 2),
        "Three",
    ]
    assert peak < 64 << 20


def _lazy(pieces):
    stream = Pieces()
    stream.pieces = pieces
    return stream


def test_a_long_line_is_read():
    title = "word " * 200_000
    assert read(f"PMID- 1\nTI  - {title}\n")[0].title == title.strip()


def test_it_reads_no_further_than_it_must():
    def pieces():
        yield b"PMID- 1\nTI  - One\n\nPMID- 2\n"
        raise AssertionError

    assert next(iter(NbibSource(_lazy(pieces)))).pmid == 1


@pytest.mark.parametrize(("end", "pmids"), [(b"", [1]), (b"\nTI  - Tw", [1]), (b"\nTI  - Two\n\n", [1, 2])])
def test_complete_records_come_before_a_break(end, pmids):
    problem = SourceError("a.nbib: cut off")
    source = iter(NbibSource(Pieces(b"PMID- 1\nTI  - One\n\nPMID- 2" + end, problem=problem)))
    found = [next(source).pmid for _ in pmids]
    with pytest.raises(SourceError, match="cut off"):
        next(source)
    assert found == pmids


def test_a_file(tmp_path):
    path = tmp_path / "two.nbib.gz"
    path.write_bytes(gzip.compress((RECORD + "\n" + render(CHAPTER)).encode()))
    source = NbibSource(ByteStream(path))
    assert (source.name, source.sequence) == (str(path), None)
    assert [found.pmid for found in source] == [found.pmid for found in source] == [21249755, CHAPTER.pmid]


@pytest.mark.parametrize(
    ("names", "author"),
    [
        (("FAU - Traynor, J R", "AU  - Traynor JR"), Author("Traynor", "J R", "JR")),
        (("AU  - Traynor JR",), Author("Traynor", None, "JR")),
        (("FAU - Long, Sue R", "AU  - Long SR"), Author("Long", "Sue R", "SR")),
        (("FAU - King, Martin L Jr", "AU  - King ML Jr"), Author("King", "Martin L", "ML", "Jr")),
        (("AU  - KING ML JR",), Author("KING", None, "ML", "JR")),
        (("AU  - van der Berg JP 3rd",), Author("van der Berg", None, "JP", "3rd")),
    ],
)
def test_initials_that_look_like_a_suffix(names, author, tmp_path):
    path = tmp_path / "one.nbib"
    path.write_text("\n".join(("PMID- 1", "TI  - T", *names)))
    (article,) = NbibSource(ByteStream(path))
    assert article.authors == (author,)
