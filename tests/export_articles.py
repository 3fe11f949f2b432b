"""Articles that are hard to export, written for these tests, and a strategy for any article at all."""

import re
from datetime import date

from hypothesis import strategies as st

from search.article import (
    SAMPLE_PMIDS,
    AbstractSection,
    AccessionNumber,
    Article,
    ArticleId,
    Author,
    Book,
    Correction,
    GeneralNote,
    Grant,
    HistoryDate,
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

TRICKY = Article(
    pmid=12345678,
    title="Effect of 50% O_2 & {nested {braces}} on C:\\lungs # 1 ~ $5 ^ a -- 'b'' ``c: <i>E. coli</i> @ 37 °C.",
    vernacular_title="Über die Wirkung von Sauerstoff",
    abstract=(
        AbstractSection('We asked, "does it?" See {Fig. 1}. P < 0.05 & n = 5; TI  - not a tag.', "Background"),
        AbstractSection("α-tocopherol ≥ 5 µg/mL;\nline two.", "Methods and results"),
        AbstractSection("No label here, 100%."),
    ),
    copyright="© 2004 The Authors",
    other_abstracts=(OtherAbstract((AbstractSection("Résumé.", "But"),), "Publisher", "fre"),),
    journal=Journal(
        "The Journal of {Odd} & Ends (Oxford, England)",
        "J. Odd Ends",
        "J Odd Ends",
        "1234-5678",
        "8765-4321",
        "0042",
        "England",
        "Print",
    ),
    volume="12 Suppl 1",
    issue="3 Pt 2",
    pages="S123-9",
    article_number="e77",
    publication_date=PartialDate(2004, 3, 17),
    electronic_date=PartialDate(2003, 12, 23),
    publication_model="Print-Electronic",
    languages=("eng", "ger"),
    authors=(
        Author(
            "van der Berg", "Jan Peter", "JP", "Jr", affiliations=("Dept; of A, Ghent",), orcid="0000-0001-2345-6789"
        ),
        Author("O'Brien-Núñez", "Íñigo", "Í"),
        Author("Silva e Costa", "Maria", "M"),
        Author("Smith and Wesson", "Ann", "A"),
        Author("'t Hooft", "G", "G"),
        Author("King", None, "ML", "3rd"),
        Author("王", "小明", "小"),
        Author("Anderson", "Others And", "OA"),
        Author(collective_name="World Health Organization and the {COVID}, 50% Group"),
        Author("Aristotle"),
    ),
    authors_complete=False,
    investigators=(Author("Doe", "Jane", "J", affiliations=("Ward 1",)),),
    mesh_headings=(
        MeshHeading("Databases, Protein", "D030562", True),
        MeshHeading("Asthma", "D001249", False, (MeshQualifier("drug therapy", major=True), MeshQualifier("genetics"))),
    ),
    supplementary_concepts=(SupplementaryConcept("COVID-19 drug treatment", "C000705127", "Protocol"),),
    keywords=(Keyword("β-blocker", True, "NOTNLM"), Keyword("cost, effectiveness", False, "NOTNLM")),
    publication_types=(PublicationType("Journal Article"), PublicationType("Research Support, Non-U.S. Gov't")),
    substances=(Substance("Oxygen", "D010100", "S88TT14065"), Substance("Placebos")),
    gene_symbols=("p53", "ras"),
    personal_name_subjects=(Author("Curie", "Marie", "M"), Author("Doe", "John", "J", "Sr")),
    space_flight_missions=("Flight Experiment; STS-40; short duration",),
    citation_subsets=("IM", "S"),
    general_notes=(GeneralNote("KIE Bib: ethics; 20 refs."),),
    number_of_references=42,
    doi="10.1002/(SICI)1097-0258(19980815/30)17:15/16<1661::AID-SIM968>3.0.CO;2-2_x",
    pmcid="PMC1234567",
    other_ids=(ArticleId("pii", "e77"), ArticleId("pii", "S0140-6736(04)1"), ArticleId("mid", "NIHMS123")),
    accession_numbers=(AccessionNumber("ClinicalTrials.gov", "NCT01234567"), AccessionNumber("GENBANK")),
    grants=(Grant("R01 HL1", "HL", "NHLBI NIH HHS", "United States"),),
    corrections=(
        Correction("ErratumIn", "J Odd Ends. 2004;13:1", 111),
        Correction("RetractionIn", "J Odd Ends. 2005;14:2", 222),
        Correction("CommentOn", "Lancet. 2003;1:1", 333),
    ),
    coi_statement="None declared.",
    created=date(2004, 3, 20),
    completed=date(2004, 5, 1),
    revised=date(2010, 1, 2),
    status="MEDLINE",
    publication_status="ppublish",
    history=(
        HistoryDate("received", date(2003, 5, 6)),
        HistoryDate("entrez", date(2004, 3, 20), "05:30"),
        HistoryDate("pubmed", date(2004, 3, 21), "06:00"),
        HistoryDate("medline", date(2004, 5, 2), "05:00"),
    ),
)

UNBALANCED = Article(pmid=7, title='}An {odd{ title}, with "quotes" and a backslash\\', journal=Journal("J Braces"))

CHAPTER = Article(
    pmid=20301295,
    title="Asthma in Children",
    book=Book(
        "GeneReviews®",
        "University of Washington",
        "Seattle (WA)",
        "2nd",
        ("9780000000002", "9780000000019"),
        (Author("Adam", "Margaret P", "MP"), Author(collective_name="Editorial Board")),
        "NCBI Bookshelf",
    ),
    publication_date=PartialDate(1993),
    authors=(Author("de la Cruz", "Ana", "A"),),
)

BOOK = Article(pmid=20301296, book=Book("Whole Book", editors=(Author("Adam", "M", "M"),)))

SAMPLE = Article(
    pmid=SAMPLE_PMIDS[0], title="An invented trial", journal=Journal("J Sample"), abstract=(AbstractSection("x"),)
)

RETRACTED_BY_TYPE = Article(pmid=8, title="Gone", publication_types=(PublicationType("Retracted Publication"),))

ALL = (TRICKY, UNBALANCED, CHAPTER, BOOK, SAMPLE, RETRACTED_BY_TYPE)

#: Any text, with the characters that break formats more often than chance would have them.
texts = st.text(max_size=25) | st.text(
    alphabet="ab {}\\$&%#_^~\"'`,;=+-@@<>[]()*\n\r\t\x00\x1f\x7f\x85\u2028\u202e|/:", max_size=25
)
_optional = st.none() | texts
_dates = st.none() | st.dates()
_partial_dates = st.builds(
    PartialDate,
    year=st.none() | st.integers(1, 9999),
    month=st.none() | st.integers(1, 12),
    day=st.none() | st.integers(1, 31),
    season=_optional,
    medline_date=_optional,
)
authors = st.builds(
    Author,
    last_name=_optional,
    fore_name=_optional,
    initials=_optional,
    suffix=_optional,
    collective_name=_optional,
    orcid=_optional,
    affiliations=st.lists(texts, max_size=2).map(tuple),
)


def _some(strategy):
    return st.lists(strategy, max_size=3).map(tuple)


_kinds = st.sampled_from(["RetractionIn", "ErratumIn", "UpdateIn", "ExpressionOfConcernIn", "CommentOn"])
articles = st.builds(
    Article,
    pmid=st.integers(1, 99_999_999) | st.sampled_from(list(SAMPLE_PMIDS[:3])),
    title=texts,
    vernacular_title=_optional,
    abstract=_some(st.builds(AbstractSection, text=texts, label=_optional)),
    copyright=_optional,
    other_abstracts=_some(
        st.builds(
            OtherAbstract, sections=_some(st.builds(AbstractSection, text=texts)), type=_optional, language=_optional
        )
    ),
    journal=st.builds(Journal, _optional, _optional, _optional, _optional, _optional, _optional, _optional),
    book=st.none() | st.builds(Book, texts, _optional, _optional, _optional, _some(texts), _some(authors), _optional),
    volume=_optional,
    issue=_optional,
    pages=_optional,
    publication_date=_partial_dates,
    electronic_date=st.none() | _partial_dates,
    languages=_some(texts),
    authors=_some(authors),
    authors_complete=st.booleans(),
    investigators=_some(authors),
    mesh_headings=_some(
        st.builds(MeshHeading, texts, _optional, st.booleans(), _some(st.builds(MeshQualifier, texts)))
    ),
    keywords=_some(st.builds(Keyword, texts, st.booleans(), _optional)),
    publication_types=_some(st.builds(PublicationType, texts | st.just("Retracted Publication"))),
    substances=_some(st.builds(Substance, texts, _optional, _optional)),
    doi=_optional,
    pmcid=_optional,
    other_ids=_some(st.builds(ArticleId, texts, texts)),
    accession_numbers=_some(st.builds(AccessionNumber, texts, texts)),
    grants=_some(st.builds(Grant, _optional, _optional, _optional, _optional)),
    corrections=_some(st.builds(Correction, _kinds, _optional, st.none() | st.integers(1, 999), _optional)),
    coi_statement=_optional,
    created=_dates,
    completed=_dates,
    revised=_dates,
    status=_optional,
    publication_status=_optional,
)

_DECODED = {
    "textbackslash": "\\",
    "textasciitilde": "~",
    "textasciicircum": "^",
    "ensuremath{\\lbrace}": "{",
    "ensuremath{\\rbrace}": "}",
}
_ESCAPE = re.compile(
    r"\{\\(textbackslash|textasciitilde|textasciicircum|ensuremath\{\\[lr]brace\})\}|\\([$&#%_{}])|\{\}"
)


def unescaped(text):
    """Undo the escapes of BibTeX; a plain inverse, where a LaTeX decoder would take minutes for all records."""
    return _ESCAPE.sub(lambda match: _DECODED[match[1]] if match[1] else match[2] or "", text)
