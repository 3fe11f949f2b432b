"""PubmedArticle elements, read into the fields of Articles."""

from __future__ import annotations

import numpy as np

from search.article import (
    AccessionNumber,
    Author,
    Correction,
    GeneralNote,
    MeshHeading,
    MeshQualifier,
    OtherAbstract,
    PublicationType,
    Substance,
    SupplementaryConcept,
)
from search.errors import InvalidRecordError
from search.formats.identifiers import parse_pmid
from search.formats.pubmed_xml import parts
from search.formats.pubmed_xml.element_table import ElementTable, Rows
from search.formats.pubmed_xml.parts import (
    Fields,
    Level,
    Remembered,
    below,
    column,
    columns,
    group,
    marks,
    names,
    texts,
)

__all__ = ["read_articles"]


def read_articles(table: ElementTable, records: Level, fields: Fields) -> None:
    """Read PubmedArticle elements."""
    citations = below(table, records, "MedlineCitation")
    articles = below(table, citations, "Article")
    parts.put_pmids(table, citations, fields)
    fields.put("status", citations, marks(table, citations.rows, "Status"))
    parts.put_children(table, citations, fields, _CITATION)
    parts.put_children(table, articles, fields, _ARTICLE)
    parts.put_abstracts(table, articles, fields)
    parts.extend_children(table, articles, fields, _ARTICLE_LISTS)
    parts.extend_children(table, citations, fields, _CITATION_LISTS)
    author_lists = below(table, articles, "AuthorList")
    complete = marks(table, author_lists.rows, "CompleteYN")
    fields.put("authors_incomplete", author_lists, [mark == "N" for mark in complete])
    journals = below(table, articles, "Journal")
    fields.put("journal", journals, columns(table, journals.rows, "Title", "ISOAbbreviation", "ISSN"))
    issns = below(table, journals, "ISSN")
    fields.put("issn_type", issns, marks(table, issns.rows, "IssnType"))
    fields.put("publication_model", articles, marks(table, articles.rows, "PubModel"))
    parts.put_children(table, below(table, journals, "JournalIssue"), fields, _ISSUE)
    parts.put_data(table, below(table, records, "PubmedData"), fields)
    parts.extend_children(table, citations, fields, [("ids", "OtherID", parts.identifiers("Source", "NLM"))])


def _read_journal_infos(table: ElementTable, rows: Rows) -> list[tuple[str | None, ...]]:
    return list(columns(table, rows, "MedlineTA", "ISSNLinking", "NlmUniqueID", "Country"))


def _other_abstracts(table: ElementTable, rows: Rows) -> list[tuple[OtherAbstract, ...]]:
    abstracts = zip(
        parts.sections(table, rows),
        marks(table, rows, "Type"),
        marks(table, rows, "Language"),
        column(table, rows, "CopyrightInformation"),
        strict=True,
    )
    return [
        (OtherAbstract(sections, kind, language or "eng", copyright_text),) if sections else ()
        for sections, kind, language, copyright_text in abstracts
    ]


# Subjects


def _terms(table: ElementTable, rows: Rows) -> list[tuple[str, str | None, bool]]:
    """Return name, UI and whether it is a main point, of DescriptorName or QualifierName elements."""
    return [
        (name, mark.get("UI") or None, mark.get("MajorTopicYN") == "Y")
        for name, mark in zip(names(table, rows), table.attributes(rows), strict=True)
    ]


def _read_mesh_headings(table: ElementTable, rows: Rows) -> list[MeshHeading | None]:
    descriptors = column(table, rows, "DescriptorName", _terms)
    found, owners = table.children(rows, "QualifierName")
    qualifiers = group([MeshQualifier(*term) for term in _terms(table, found)], owners, len(rows))
    return [
        MeshHeading(term[0], term[1], term[2], own) if term else None
        for term, own in zip(descriptors, qualifiers, strict=True)
    ]


_mesh_headings = Remembered(_read_mesh_headings)


def _mesh_heading_lists(table: ElementTable, lists: Rows) -> list[tuple[MeshHeading, ...]]:
    rows, owners = table.children(lists, "MeshHeading")
    return [tuple(filter(None, own)) for own in group(_mesh_headings(table, rows), owners, len(lists))]


def _concepts(table: ElementTable, lists: Rows) -> list[tuple[SupplementaryConcept, ...]]:
    rows, owners = table.children(lists, "SupplMeshName")
    concepts = zip(names(table, rows), marks(table, rows, "UI"), marks(table, rows, "Type"), strict=True)
    return group([SupplementaryConcept(*concept) for concept in concepts], owners, len(lists))


def _read_publication_types(table: ElementTable, lists: Rows) -> list[tuple[PublicationType, ...]]:
    rows, owners = table.children(lists, "PublicationType")
    return [sum(own, ()) for own in group(parts.publication_types(table, rows), owners, len(lists))]


def _read_substances(table: ElementTable, rows: Rows) -> list[Substance]:
    numbers = column(table, rows, "RegistryNumber")
    substances = column(table, rows, "NameOfSubstance", _terms)
    return [
        Substance(term[0] if term else "", term[1] if term else None, number)
        for term, number in zip(substances, numbers, strict=True)
    ]


_substances = Remembered(_read_substances)


def _substance_lists(table: ElementTable, lists: Rows) -> list[tuple[Substance, ...]]:
    rows, owners = table.children(lists, "Chemical")
    return group(_substances(table, rows), owners, len(lists))


def _accession_numbers(table: ElementTable, lists: Rows) -> list[tuple[AccessionNumber, ...]]:
    banks, of_list = table.children(lists, "DataBank")
    bank_names = column(table, banks, "DataBankName")
    number_lists, of_bank = table.children(banks, "AccessionNumberList")
    rows, places = table.children(number_lists, "AccessionNumber")
    of_bank = of_bank[places]
    numbers = [
        AccessionNumber(bank_names[bank] or "", number)
        for bank, number in zip(of_bank.tolist(), names(table, rows), strict=True)
    ]
    empty = np.setdiff1d(np.arange(len(banks)), of_bank)
    if len(empty):
        # A bank may be named without a number.
        numbers += [AccessionNumber(bank_names[bank] or "") for bank in empty.tolist()]
        of_bank = np.concatenate([of_bank, empty])
        order = np.argsort(of_bank, kind="stable")
        numbers, of_bank = [numbers[place] for place in order.tolist()], of_bank[order]
    return group(numbers, of_list[of_bank], len(lists))


def _texts_of(tag: str) -> parts.Reader:
    """Return a reader of lists whose entries are the texts of one child, as a tuple without empty ones."""

    def read(table: ElementTable, lists: Rows) -> list[tuple[str, ...]]:
        rows, owners = table.children(lists, tag)
        return [tuple(filter(None, own)) for own in group(names(table, rows), owners, len(lists))]

    return read


def _one_text(table: ElementTable, rows: Rows) -> list[tuple[str, ...]]:
    return [(text,) if text else () for text in names(table, rows)]


def _general_notes(table: ElementTable, rows: Rows) -> list[tuple[GeneralNote, ...]]:
    notes = zip(texts(table, rows), marks(table, rows, "Owner"), strict=True)
    return [(GeneralNote(text, owner),) if text else () for text, owner in notes]


def _person_subjects(table: ElementTable, lists: Rows) -> list[tuple[Author, ...]]:
    rows, owners = table.children(lists, "PersonalNameSubject")
    people = [Author(*name) for name in columns(table, rows, "LastName", "ForeName", "Initials", "Suffix")]
    return group(people, owners, len(lists))


def _numbers(table: ElementTable, rows: Rows) -> list[int | None]:
    return [int(text) if text.isascii() and text.isdigit() and len(text) < 9 else None for text in names(table, rows)]


# Links to other records

_OLD_KINDS = (
    "CommentOn", "CommentIn", "ErratumIn", "ErratumFor", "RepublishedFrom", "RepublishedIn", "RetractionOf",
    "RetractionIn", "UpdateIn", "UpdateOf", "SummaryForPatientsIn", "OriginalReportIn",
)  # fmt: skip


def _corrections(table: ElementTable, lists: Rows) -> list[tuple[Correction, ...]]:
    """Return the links to notices; references (`Cites`, until 2018) are no notices (`_cited`)."""
    rows, owners = table.children(lists, "CommentsCorrections")
    kinds = np.array([kind or "" for kind in marks(table, rows, "RefType")], dtype=object)
    notices = kinds != "Cites"
    return group(_links(table, rows[notices], kinds[notices].tolist()), owners[notices], len(lists))


def _cited(table: ElementTable, lists: Rows) -> list[tuple[int, ...]]:
    """Return the PMIDs of the works that are cited, as records gave them until 2018."""
    rows, owners = table.children(lists, "CommentsCorrections")
    cites = np.array([kind == "Cites" for kind in marks(table, rows, "RefType")], dtype=bool)
    found = [_linked_pmid(text) for text in column(table, rows[cites], "PMID")]
    return [tuple(filter(None, own)) for own in group(found, owners[cites], len(lists))]


def _old_corrections(table: ElementTable, rows: Rows) -> list[tuple[Correction, ...]]:
    """Return the links of the DTDs until 2008, where the kind is the name of the element."""
    links, owners = table.children(rows, *_OLD_KINDS)
    return group(_links(table, links, [table.name(row) for row in links.tolist()]), owners, len(rows))


def _links(table: ElementTable, rows: Rows, kinds: list[str]) -> list[Correction]:
    links = columns(table, rows, "RefSource", "PMID", "Note")
    return [
        Correction(kind, citation, _linked_pmid(pmid), note)
        for kind, (citation, pmid, note) in zip(kinds, links, strict=True)
    ]


def _linked_pmid(text: str | None) -> int | None:
    """Return the PMID of another record; a link without one is still worth its citation."""
    try:
        return parse_pmid(text)
    except InvalidRecordError:
        return None


_CITATION: list[tuple[str, str, parts.Reader]] = [
    ("created", "DateCreated", parts.days),
    ("completed", "DateCompleted", parts.days),
    ("revised", "DateRevised", parts.days),
    ("journal_info", "MedlineJournalInfo", Remembered(_read_journal_infos)),
    ("coi_statement", "CoiStatement", texts),
    ("number_of_references", "NumberOfReferences", _numbers),
]

_CITATION_LISTS: list[tuple[str, str, parts.Reader]] = [
    ("substances", "ChemicalList", _substance_lists),
    ("supplementary_concepts", "SupplMeshList", _concepts),
    ("corrections", "CommentsCorrectionsList", _corrections),
    ("corrections", "CommentsCorrections", _old_corrections),
    ("references", "CommentsCorrectionsList", _cited),
    ("mesh_headings", "MeshHeadingList", _mesh_heading_lists),
    ("other_abstracts", "OtherAbstract", _other_abstracts),
    ("keywords", "KeywordList", parts.keywords),
    ("investigators", "InvestigatorList", parts.people),
    ("citation_subsets", "CitationSubset", Remembered(_one_text)),
    ("gene_symbols", "GeneSymbolList", _texts_of("GeneSymbol")),
    ("personal_name_subjects", "PersonalNameSubjectList", _person_subjects),
    ("space_flight_missions", "SpaceFlightMission", _one_text),
    ("general_notes", "GeneralNote", _general_notes),
]

_ARTICLE: list[tuple[str, str, parts.Reader]] = [
    ("title", "ArticleTitle", texts),
    ("vernacular_title", "VernacularTitle", texts),
    ("pages", "Pagination", parts.pages),
    ("first_affiliation", "Affiliation", names),
    ("electronic_date", "ArticleDate", parts.dates),
]

_ARTICLE_LISTS: list[tuple[str, str, parts.Reader]] = [
    ("locations", "ELocationID", parts.identifiers("EIdType", "")),
    ("authors", "AuthorList", parts.people),
    ("languages", "Language", parts.languages),
    ("accession_numbers", "DataBankList", _accession_numbers),
    ("grants", "GrantList", parts.grants),
    ("publication_types", "PublicationTypeList", Remembered(_read_publication_types)),
]

_ISSUE: list[tuple[str, str, parts.Reader]] = [
    ("volume", "Volume", names),
    ("issue", "Issue", names),
    ("publication_date", "PubDate", parts.dates),
]
