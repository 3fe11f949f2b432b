"""Vocabularies of PubMed's that are short and change seldom: subheadings, publication types, filters, stopwords.

The tables are those of PubMed's help and of NLM's pages on subheadings and publication types. MeSH itself is not here.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from search.errors import QueryError

__all__ = ["FILTERS", "STOPWORDS", "is_subheading", "narrower_subheadings", "narrower_types", "subheading_of"]

_SUBHEADINGS = """
ab abnormalities; ad administration and dosage; ae adverse effects; ag agonists; aa analogs and derivatives;
an analysis; ah anatomy and histology; ai antagonists and inhibitors; bi biosynthesis; bs blood supply; bl blood;
cf cerebrospinal fluid; cs chemical synthesis; ci chemically induced; ch chemistry; cl classification;
co complications; cn congenital; cy cytology; df deficiency; di diagnosis; dh diet therapy; dg diagnostic imaging;
de drug effects; dt drug therapy; ec economics; ed education; em embryology; en enzymology; ep epidemiology; es ethics;
eh ethnology; et etiology; ge genetics; gd growth and development; hi history; im immunology; in injuries;
ir innervation; is instrumentation; ip isolation and purification; lj legislation and jurisprudence; me metabolism;
mt methods; mi microbiology; mo mortality; nu nursing; og organization and administration; ps parasitology;
py pathogenicity; pa pathology; pk pharmacokinetics; pd pharmacology; ph physiology; pp physiopathology; po poisoning;
pc prevention and control; px psychology; re radiation effects; rt radiotherapy; rh rehabilitation; sc secondary;
st standards; sn statistics and numerical data; sd supply and distribution; su surgery; tu therapeutic use; th therapy;
to toxicity; tm transmission; tr transplantation; td trends; ul ultrastructure; ur urine; ve veterinary; vi virology
"""
_BY_ABBREVIATION = {
    abbreviation: name
    for abbreviation, _, name in (" ".join(entry.split()).partition(" ") for entry in _SUBHEADINGS.split(";"))
}

#: Each subheading with those directly below it.
_BELOW_SUBHEADING = {
    "analysis": ("blood", "cerebrospinal fluid", "isolation and purification", "urine"),
    "anatomy and histology": ("blood supply", "cytology", "embryology", "innervation", "ultrastructure"),
    "cytology": ("pathology", "ultrastructure"),
    "embryology": ("abnormalities",),
    "chemistry": ("agonists", "analogs and derivatives", "antagonists and inhibitors", "chemical synthesis"),
    "diagnosis": ("pathology", "diagnostic imaging"),
    "etiology": (
        "chemically induced", "complications", "congenital", "embryology", "genetics", "immunology", "microbiology",
        "parasitology", "transmission",
    ),
    "complications": ("secondary",),
    "microbiology": ("virology",),
    "organization and administration": (
        "economics", "legislation and jurisprudence", "standards", "supply and distribution", "trends",
    ),
    "pharmacology": (
        "administration and dosage", "adverse effects", "agonists", "antagonists and inhibitors", "pharmacokinetics",
    ),
    "adverse effects": ("poisoning", "toxicity"),
    "physiology": ("genetics", "growth and development", "immunology", "metabolism", "physiopathology"),
    "metabolism": (
        "biosynthesis", "blood", "cerebrospinal fluid", "deficiency", "enzymology", "pharmacokinetics", "urine",
    ),
    "statistics and numerical data": ("epidemiology", "supply and distribution"),
    "epidemiology": ("ethnology", "mortality"),
    "therapeutic use": ("administration and dosage", "adverse effects", "poisoning"),
    "therapy": (
        "diet therapy", "drug therapy", "nursing", "prevention and control", "radiotherapy", "rehabilitation",
        "surgery",
    ),
    "surgery": ("transplantation",),
}  # fmt: skip

#: Each publication type with those directly below it.
_BELOW_TYPE = {
    "clinical study": ("clinical trial", "observational study", "clinical trial, veterinary"),
    "clinical trial": (
        "adaptive clinical trial", "clinical trial, phase i", "clinical trial, phase ii", "clinical trial, phase iii",
        "clinical trial, phase iv", "controlled clinical trial", "equivalence trial", "pragmatic clinical trial",
    ),
    "controlled clinical trial": ("randomized controlled trial",),
    "clinical trial, veterinary": ("randomized controlled trial, veterinary",),
    "observational study": ("observational study, veterinary",),
    "consensus development conference": ("consensus development conference, nih",),
    "biography": ("autobiography",),
    "guideline": ("practice guideline",),
    "meta-analysis": ("network meta-analysis",),
    "news": ("newspaper article",),
    "review": ("scientific integrity review", "systematic review"),
}  # fmt: skip

#: What PubMed's filters and subsets stand for, where it is another search.
FILTERS = {
    **dict.fromkeys(("ffrft", "fft", "loattrfree full text", "pubmed pmc", "pmc", "pmc all"), "free full text[sb]"),
    **dict.fromkeys(("abstract", "fha"), "hasabstract[sb]"),
    **dict.fromkeys(
        ("systematic", "systematic review", "systematicreview", "systematic reviews"), "systematic review[pt]"
    ),
    **dict.fromkeys(("preprint", "preprints"), "preprint[pt]"),
    **dict.fromkeys(("pmcbook", "booksdocs", "pubmed books"), "pubmed books[sb]"),
    "excludepreprints": "all[sb] NOT preprint[pt]",
    "humans": "humans[mh]",
    "animal": "animals[mh:noexp]",
    "animals": "animals[mh:noexp]",
    "female": "female[mh]",
    "male": "male[mh]",
    "allchild": "infant[mh] OR child[mh] OR adolescent[mh]",
    "newborn": "infant, newborn[mh]",
    "allinfant": "infant[mh]",
    "infant": "infant[mh:noexp]",
    "preschoolchild": "child, preschool[mh]",
    "child": "child[mh:noexp]",
    "adolescent": "adolescent[mh]",
    "alladult": "adult[mh]",
    "youngadult": '"young adult"[mh]',
    "adult": "adult[mh:noexp]",
    "middleagedaged": "middle aged[mh] OR aged[mh]",
    "middleaged": "middle aged[mh]",
    "aged": "aged[mh]",
    "80andover": "aged, 80 and over[mh]",
    "clinicaltrial": "clinical trial[pt]",
    "meta-analysis": "meta-analysis[pt]",
    "randomizedcontrolledtrial": "randomized controlled trial[pt]",
    "review": "review[pt]",
    "casereports": "case reports[pt]",
    "guideline": "guideline[pt]",
    "practiceguideline": "practice guideline[pt]",
    "observationalstudy": "observational study[pt]",
    "english": "english[la]",
    "french": "french[la]",
    "german": "german[la]",
    "spanish": "spanish[la]",
    "chinese": "chinese[la]",
    "japanese": "japanese[la]",
    **{f"y_{years}": f'"last {years} years"[dp]' for years in (1, 5, 10)},
}

STOPWORDS = frozenset(
    """
    a about again all almost also although always among an and another any are as at be because been before being
    between both but by can could did do does done due during each either enough especially etc for found from further
    had has have having here how however i if in into is it its itself just kg km made mainly make may mg might ml mm
    most mostly must nearly neither no nor obtained of often on our overall perhaps pmid quite rather really regarding
    seem seen several should show showed shown shows significantly since so some such than that the their theirs them
    then there therefore these they this those through thus to upon various very was we were what when which while with
    within without would
    """.split()  # noqa: SIM905 - a table reads better so
)


def subheading_of(text: str) -> str:
    """Return the name of a subheading given by its name or NLM's two letters; QueryError names the nearest."""
    name = " ".join(text.lower().replace("&", " and ").split())
    subheading = _BY_ABBREVIATION.get(name, name)
    if subheading in _BY_ABBREVIATION.values():
        return subheading
    near = difflib.get_close_matches(name, _BY_ABBREVIATION.values(), n=3, cutoff=0.5)
    hint = f"the nearest are {', '.join(near)}" if near else "PubMed's help lists them"
    raise QueryError(f"no MeSH subheading {text!r}: {hint}")


def is_subheading(name: str) -> bool:
    """Whether a name is that of a subheading, in any case."""
    return " ".join(name.lower().split()) in _BY_ABBREVIATION.values()


def narrower_subheadings(name: str) -> list[str]:
    """Return a subheading and all below it.

    >>> narrower_subheadings("therapeutic use")[:2]
    ['therapeutic use', 'administration and dosage']
    """
    return list(dict.fromkeys(_below(name, _BELOW_SUBHEADING)))


def narrower_types(name: str) -> list[str]:
    """Return a publication type, in lower case, and all below it."""
    return list(dict.fromkeys(_below(" ".join(name.lower().split()), _BELOW_TYPE)))


def _below(name: str, tree: dict[str, tuple[str, ...]]) -> Iterator[str]:
    yield name
    for below in tree.get(name, ()):
        yield from _below(below, tree)
