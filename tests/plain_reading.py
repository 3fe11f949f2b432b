"""A plain reading of NLM XML with the standard library, to hold the reader of `search.formats` against.

It shares no code with it: one element at a time, `find` and `findall`, and plain dictionaries of what an Article
should say. Formulas are written out here once more, for the few kinds that the real files hold.
"""

import gzip
import re
import unicodedata
import xml.etree.ElementTree as ET
from datetime import date

MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
MATH = "{http://www.w3.org/1998/Math/MathML}"


def records_of(path):
    """Yield `("article", dict)` and `("deletion", pmid)` in the order of the file."""
    data = path.read_bytes()
    root = ET.fromstring(gzip.decompress(data) if path.name.endswith(".gz") else data)
    for element in [root] if root.tag in ("MedlineCitation", "PubmedArticle") else root:
        if element.tag == "DeleteCitation":
            for pmid in element.findall("PMID"):
                yield "deletion", (int(pmid.text), int(pmid.get("Version")) if pmid.get("Version") else None)
        else:
            yield "article", article_of(element)


def all_text(element):
    """Return all characters in an element, in their order, with formulas as a line of text."""
    if element is None:
        return ""
    return even(raw_text(element))


def raw_text(element):
    parts = [element.text or ""]
    for child in element:
        text = formula(child) if child.tag == MATH + "math" else raw_text(child)
        if child.tag == "sup" and not len(child):
            text = raised(parts[-1], text.strip(), child.tail or "") or text
        parts += [text, child.tail or ""]
    return "".join(parts)


def raised(before, text, after):
    """Return a number after a digit as an exponent, numbers that mark citations after a space; None for all else."""
    number, several = re.fullmatch(r"[+\-\u2212\u2013]?\d+([.\-\u2013]\d+)?|n", text), re.split(r"[,\-\u2013]", text)
    if before[-1:].isdigit() and number:
        return "^" + text + " " * after[:1].isdigit()
    if not all(part.strip().isdigit() for part in several):
        return None
    marks = len(several) > 1 and re.search(r"[\w.,:)\]]$", before, re.ASCII)
    return " " + text if marks or re.search(r"([a-z]{4}|[.,:])$", before) else None


def even(text):
    return unicodedata.normalize("NFC", re.sub(r"\s+", " ", text).strip())


def formula(element):
    name = element.tag.removeprefix(MATH)
    children = list(element)
    if name in ("mi", "mn", "mo"):
        return even(element.text or "")
    if name == "mtext":
        return re.sub(r"\s+", " ", element.text or "")
    if name == "msub":
        return formula(children[0]).strip() + formula(children[1]).strip()
    if name == "mover":
        base, over = formula(children[0]), formula(children[1])
        assert over == ".", "another accent needs its own line here"
        return base + "\N{COMBINING DOT ABOVE}"
    if name == "mmultiscripts":
        base, separator, none, script = children
        assert (separator.tag, none.tag) == (MATH + "mprescripts", MATH + "none")
        return formula(script).strip() + formula(base).strip()
    assert name in ("math", "mrow"), f"{name} needs its own line here"
    return "".join(map(formula, children))


def texts(element, path):
    return [all_text(found) for found in element.findall(path)]


def text(element, path):
    return all_text(element.find(path)) or None


def day(element):
    if element is None:
        return None
    year, month, number = (element.findtext(tag) for tag in ("Year", "Month", "Day"))
    return date(int(year), MONTHS.index(month) + 1 if month in MONTHS else int(month), int(number)).isoformat()


def partial(element):
    if element is None:
        return None
    found = {}
    free = element.findtext("MedlineDate")
    if free:
        found["medline_date"] = free
        found["year"] = int(free[:4])
        if free[5:8] in MONTHS and free[4] == " ":
            found["month"] = MONTHS.index(free[5:8]) + 1
        return found
    for tag in ("Year", "Month", "Day", "Season"):
        value = element.findtext(tag)
        if value:
            found[tag.lower()] = (
                value if tag == "Season" else MONTHS.index(value) + 1 if value in MONTHS else int(value)
            )
    return found


def person(element):
    orcid = element.find("Identifier[@Source='ORCID']")
    number = re.sub(r"[^\dX]", "", orcid.text.rpartition("/")[2]) if orcid is not None else ""
    return {
        "last_name": text(element, "LastName"),
        "fore_name": text(element, "ForeName"),
        "initials": text(element, "Initials"),
        "suffix": text(element, "Suffix"),
        "collective_name": text(element, "CollectiveName"),
        "orcid": "-".join(re.findall("....", number)) if len(number) == 16 else None,
        "affiliations": texts(element, "AffiliationInfo/Affiliation"),
    }


def people(element, path):
    return [person(found) for found in element.findall(path) if found.get("ValidYN") != "N"]


def sections(element):
    return [
        {"text": all_text(part), "label": part.get("Label"), "category": part.get("NlmCategory")}
        for part in element.findall("AbstractText")
        if all_text(part)
    ]


def article_of(element):
    citation = element if element.tag == "MedlineCitation" else element.find("MedlineCitation")
    data = ET.Element("PubmedData") if element.find("PubmedData") is None else element.find("PubmedData")
    article = citation.find("Article")
    authors = people(article, "AuthorList/Author")
    if authors and not authors[0]["affiliations"]:
        authors[0]["affiliations"] = texts(article, "Affiliation")
    found = {
        "pmid": int(citation.findtext("PMID")),
        "version": int(citation.find("PMID").get("Version")),
        "title": text(article, "ArticleTitle") or text(article, "VernacularTitle"),
        "vernacular_title": text(article, "VernacularTitle"),
        "abstract": sections(article.find("Abstract")) if article.find("Abstract") is not None else [],
        "copyright": text(article, "Abstract/CopyrightInformation"),
        "other_abstracts": [
            {
                "sections": sections(other),
                "type": other.get("Type"),
                "language": other.get("Language", "eng"),
                "copyright": text(other, "CopyrightInformation"),
            }
            for other in citation.findall("OtherAbstract")
        ],
        "journal": {
            "title": text(article, "Journal/Title"),
            "iso_abbreviation": text(article, "Journal/ISOAbbreviation"),
            "issn": text(article, "Journal/ISSN"),
            "issn_type": article.find("Journal/ISSN").get("IssnType") if text(article, "Journal/ISSN") else None,
            "medline_abbreviation": text(citation, "MedlineJournalInfo/MedlineTA"),
            "nlm_id": text(citation, "MedlineJournalInfo/NlmUniqueID"),
            "issn_linking": text(citation, "MedlineJournalInfo/ISSNLinking"),
            "country": text(citation, "MedlineJournalInfo/Country"),
        },
        "volume": text(article, "Journal/JournalIssue/Volume"),
        "issue": text(article, "Journal/JournalIssue/Issue"),
        "pages": text(article, "Pagination/MedlinePgn"),
        "article_number": next(
            (all_text(e) for e in article.findall("ELocationID[@EIdType='pii']") if e.get("ValidYN") != "N"), None
        ),
        "publication_model": article.get("PubModel"),
        "number_of_references": int(text(citation, "NumberOfReferences") or 0) or None,
        "citation_subsets": texts(citation, "CitationSubset"),
        "gene_symbols": texts(citation, "GeneSymbolList/GeneSymbol"),
        "personal_name_subjects": [
            {
                "last_name": text(name, "LastName"),
                "fore_name": text(name, "ForeName"),
                "initials": text(name, "Initials"),
                "suffix": text(name, "Suffix"),
            }
            for name in citation.findall("PersonalNameSubjectList/PersonalNameSubject")
        ],
        "space_flight_missions": texts(citation, "SpaceFlightMission"),
        "general_notes": [
            {"text": all_text(note), "owner": note.get("Owner")} for note in citation.findall("GeneralNote")
        ],
        "history": [
            {
                "status": entry.get("PubStatus"),
                "day": day(entry),
                "time": f"{int(entry.findtext('Hour') or 0):02d}:{int(entry.findtext('Minute') or 0):02d}"
                if int(entry.findtext("Hour") or 0) or int(entry.findtext("Minute") or 0)
                else None,
            }
            for entry in data.findall("History/PubMedPubDate")
        ],
        "publication_date": partial(article.find("Journal/JournalIssue/PubDate")),
        "electronic_date": partial(article.find("ArticleDate")),
        "languages": texts(article, "Language"),
        "authors": authors,
        "authors_complete": None if article.find("AuthorList[@CompleteYN='N']") is None else False,
        "investigators": people(citation, "InvestigatorList/Investigator"),
        "coi_statement": text(citation, "CoiStatement"),
        "created": day(citation.find("DateCreated")) or day(data.find("History/PubMedPubDate[@PubStatus='entrez']")),
        "completed": day(citation.find("DateCompleted")),
        "revised": day(citation.find("DateRevised")),
        "status": citation.get("Status"),
        "publication_status": text(data, "PublicationStatus"),
    }
    return found | subjects(citation, article) | links(citation, article, data)


def subjects(citation, article):
    return {
        "mesh_headings": [
            {
                "descriptor": text(heading, "DescriptorName"),
                "ui": heading.find("DescriptorName").get("UI"),
                "major": heading.find("DescriptorName").get("MajorTopicYN") == "Y",
                "qualifiers": [
                    {"name": all_text(name), "ui": name.get("UI"), "major": name.get("MajorTopicYN") == "Y"}
                    for name in heading.findall("QualifierName")
                ],
            }
            for heading in citation.findall("MeshHeadingList/MeshHeading")
        ],
        "supplementary_concepts": [
            {"name": all_text(name), "ui": name.get("UI"), "type": name.get("Type")}
            for name in citation.findall("SupplMeshList/SupplMeshName")
        ],
        "keywords": [
            {"text": all_text(word), "major": word.get("MajorTopicYN") == "Y", "owner": group.get("Owner")}
            for group in citation.findall("KeywordList")
            for word in group
            if all_text(word)
        ],
        "publication_types": [
            {"name": all_text(kind), "ui": kind.get("UI")}
            for kind in article.findall("PublicationTypeList/PublicationType")
        ],
        "substances": [
            {
                "name": text(chemical, "NameOfSubstance"),
                "ui": chemical.find("NameOfSubstance").get("UI"),
                "registry_number": text(chemical, "RegistryNumber"),
            }
            for chemical in citation.findall("ChemicalList/Chemical")
        ],
    }


def links(citation, article, data):
    ids = [(e.get("EIdType"), all_text(e)) for e in article.findall("ELocationID")]
    ids += [(e.get("IdType"), all_text(e)) for e in data.findall("ArticleIdList/ArticleId")]
    ids += [(e.get("Source"), all_text(e)) for e in citation.findall("OtherID")]
    dois = [value for kind, value in ids if kind == "doi"]
    pmcids = [re.match(r"PMC\d+", value)[0] for kind, value in ids if value.startswith("PMC")]
    others = [(kind, value) for kind, value in ids if kind not in ("doi", "pubmed") and not value.startswith("PMC")]
    assert len({doi.lower() for doi in dois}) < 2 and len(set(pmcids)) < 2
    return {
        "doi": dois[0] if dois else None,
        "pmcid": pmcids[0] if pmcids else None,
        "other_ids": [{"kind": kind, "value": value} for kind, value in dict.fromkeys(others)],
        "accession_numbers": [
            {"databank": text(bank, "DataBankName"), "number": all_text(number)}
            for bank in article.findall("DataBankList/DataBank")
            for number in bank.findall("AccessionNumberList/AccessionNumber") or [None]
        ],
        "grants": [
            {
                "number": text(grant, "GrantID"),
                "acronym": text(grant, "Acronym"),
                "agency": text(grant, "Agency"),
                "country": text(grant, "Country"),
            }
            for grant in article.findall("GrantList/Grant")
        ],
        "references": list(dict.fromkeys(filter(None, [*cites(citation), *map(cited, data.iter("Reference"))]))),
        "corrections": [
            {
                "kind": link.get("RefType"),
                "citation": text(link, "RefSource"),
                "pmid": int(link.findtext("PMID")) if link.findtext("PMID") else None,
                "note": text(link, "Note"),
            }
            for link in citation.findall("CommentsCorrectionsList/CommentsCorrections")
            if link.get("RefType") != "Cites"
        ],
    }


def cites(citation):
    """The PMIDs that a record cites by the rules until 2018."""
    found = citation.findall("CommentsCorrectionsList/CommentsCorrections[@RefType='Cites']/PMID")
    return [int(pmid.text) for pmid in found]


def cited(reference):
    """What names the work that a Reference is about."""
    ids = {entry.get("IdType"): all_text(entry) for entry in reference.findall("ArticleIdList/ArticleId")}
    # One of NLM's files has whole citations where the PMID should stand.
    return int(ids["pubmed"]) if ids.get("pubmed", "").isdigit() else ids.get("doi") or ids.get("pmc")


def without_empty(value):
    """Drop what is empty, as the JSON of an Article does: None, empty lists and texts, False."""
    if isinstance(value, dict):
        return {key: kept for key, inner in value.items() if (kept := without_empty(inner)) not in (None, "", [], {})}
    if isinstance(value, list):
        return [without_empty(inner) for inner in value]
    return None if value is False else value
