"""What kind of study an article reports, how many took part, and where it is registered: determined by rules.

The design is that of NLM's publication types and headings where these say it, else of the words of title and abstract.
It says what was done, not how well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Literal, get_args

from search.article import Article

__all__ = ["DESIGNS", "Design", "design_of", "registry_numbers", "sample_size"]

#: The designs, those on which conclusions rest most firmly first.
Design = Literal[
    "guideline",
    "meta-analysis",
    "systematic review",
    "randomized trial",
    "clinical trial",
    "cohort",
    "case-control",
    "cross-sectional",
    "observational",
    "case report",
    "review",
    "protocol",
    "animal",
    "in vitro",
    "comment",
]
DESIGNS: tuple[Design, ...] = get_args(Design)

_OF_TYPE: Mapping[str, Design] = {
    "Clinical Trial Protocol": "protocol",
    "Practice Guideline": "guideline",
    "Guideline": "guideline",
    "Consensus Development Conference": "guideline",
    "Consensus Development Conference, NIH": "guideline",
    "Network Meta-Analysis": "meta-analysis",
    "Meta-Analysis": "meta-analysis",
    "Systematic Review": "systematic review",
    "Randomized Controlled Trial": "randomized trial",
    "Randomized Controlled Trial, Veterinary": "randomized trial",
    "Equivalence Trial": "randomized trial",
    "Pragmatic Clinical Trial": "randomized trial",
    "Case Reports": "case report",
}
#: Types that say less: the words of the article may say more.
_OF_LOOSE_TYPE: Mapping[str, Design] = {
    "Controlled Clinical Trial": "clinical trial",
    "Clinical Trial": "clinical trial",
    "Clinical Trial, Phase I": "clinical trial",
    "Clinical Trial, Phase II": "clinical trial",
    "Clinical Trial, Phase III": "clinical trial",
    "Clinical Trial, Phase IV": "clinical trial",
    "Observational Study": "observational",
    "Review": "review",
    "Scoping Review": "review",
    "Editorial": "comment",
    "Comment": "comment",
    "Letter": "comment",
    "News": "comment",
}
_SAY_MORE = ("randomized trial", "cohort", "case-control", "cross-sectional", "clinical trial")
_OF_HEADING: Mapping[str, Design] = {
    "Case-Control Studies": "case-control",
    "Cross-Sectional Studies": "cross-sectional",
    "Cohort Studies": "cohort",
    "Prospective Studies": "cohort",
    "Retrospective Studies": "cohort",
    "Follow-Up Studies": "cohort",
    "Longitudinal Studies": "cohort",
}
_CELLS = re.compile(r"Cell Line|Cells, Cultured|In Vitro Techniques|Tumor Cells, Cultured")


def _pattern(text: str) -> re.Pattern[str]:
    """Compile a pattern for text in lower case."""
    return re.compile(text)


def _said(design: Design, words: str, *patterns: str) -> tuple[Design, str, tuple[str, ...]]:
    return design, words, patterns


_RANDOM_TITLE = r"\b(?<!mendelian )randomi[sz]ed\b|\brandomly\b|\bplacebo-controlled\b"
#: What a title says, in the order in which it is believed.
_TITLES: tuple[tuple[Design, re.Pattern[str]], ...] = (
    ("protocol", _pattern(r"\bprotocol (?:for|of)\b|study protocol|rationale and (?:study )?design")),
    ("meta-analysis", _pattern(r"meta-?analys")),
    ("systematic review", _pattern(r"systematic(?: literature)? review|systematic overview")),
    ("guideline", _pattern(r"\bguidelines?\b.*(?:for|on|from)\b|practice (?:guideline|parameter)|consensus statement")),
    ("randomized trial", _pattern(_RANDOM_TITLE)),
    ("case-control", _pattern(r"case[- ]control")),
    ("cross-sectional", _pattern(r"cross-?sectional")),
    (
        "cohort",
        _pattern(r"\bcohort\b|follow-up study|retrospective|prospective (?:study|observational)|longitudinal study"),
    ),
    ("case report", _pattern(r"\bcase reports?\b|report of (?:a|one|two|three|\d+) cases?|: a case\b|case series")),
    ("review", _pattern(r"\breview\b|\boverview\b|\ban update\b|state of the art")),
    ("clinical trial", _pattern(r"\b(?:clinical|pilot|open[- ]label|controlled|phase [1-4i]+[ab]?) (?:trial|study)\b")),
)
_WHO = r"\b(?:we|study|trial|patients?|participants?|subjects?|women|men|children|adults|infants|eyes|volunteers)\b"
_OBSERVED = r"\b(?:prospective|retrospective|historical|population-based|longitudinal|observational|birth)\b"
_ANIMALS = (
    r"\b(?:rats?|mice|mouse|rabbits?|pigs?|piglets|dogs?|monkeys?|zebrafish|hamsters?|sheep|drosophila|c\. elegans)\b"
)
#: What an abstract says, in this order: any of some patterns, tried only if the text has one of the words before them.
_TEXTS: tuple[tuple[Design, str, re.Pattern[str]], ...] = tuple(
    (design, words, _pattern("|".join(patterns)))
    for design, words, patterns in (
        _said(
            "meta-analysis",
            "meta pooled",
            r"(?:performed|conducted|did|undertook|carried out|this|present) (?:an? )?(?:\w+[ -]){0,6}meta-?analys",
            r"meta-?analys[ie]s (?:was|were) (?:performed|conducted|done|carried)",
            r"pooled (?:odds|risk|hazard) ratio",
        ),
        _said(
            "systematic review",
            "systematic search",
            r"systematically (?:searched|reviewed)|(?:this|a|our) systematic(?: literature)? review",
            r"systematic (?:literature )?search (?:was|of)",
            r"\b(?:medline|pubmed|embase)\b.{0,120}\bsearched|searched\b.{0,120}\b(?:medline|pubmed|embase)",
        ),
        _said(
            "randomized trial",
            "random blind placebo-controlled",
            r"\brandom(?:ly|i[sz]ed|i[sz]ation)\b.{0,60}\b(?:assign|allocat|to receive|into|to (?:one|either|placebo)"
            r"|crossover|cross-over|double|trial,|controlled trial (?:of|was|in|with|compar))",
            _WHO + r".{0,60}\b(?:was|were) random(?:i[sz]ed|ly (?:assigned|allocated|divided|selected to))",
            r"\b(?:double|single)-blind\w*,? .{0,40}(?:placebo|crossover|cross-over|trial|study)",
            r"random order|placebo-controlled (?:trial|study|crossover)",
        ),
        _said("protocol", "protocol", r"this (?:study )?protocol describes|(?:trial|study) protocol (?:is|for)"),
        _said(
            "case-control",
            "control",
            r"case[- ]control (?:study|analysis|design)|\bcases and (?:\d+ )?(?:matched )?controls\b",
        ),
        _said(
            "cross-sectional",
            "sectional questionnaire survey",
            r"cross-?sectional (?:study|survey|analysis|design|data)",
            r"(?:questionnaire|survey) (?:was|were) (?:sent|mailed|administered|completed|distributed)",
        ),
        _said(
            "cohort",
            "cohort spective historical population-based longitudinal observational birth records charts",
            _OBSERVED + r".{0,20}\b(?:cohort|study|analysis|review of|follow-up)|cohort (?:study|of)",
            r"retrospectively (?:reviewed|analy[sz]ed|studied|evaluated|collected|identified)",
            r"(?:records|charts) (?:of|were)\b.{0,60}\breview",
        ),
        _said(
            "clinical trial",
            "open single-arm uncontrolled crossover cross-over pilot phase random",
            r"\b(?:open[- ]label|single-arm|uncontrolled|crossover|cross-over|pilot|phase (?:[1-4]|i{1,3}|iv)[ab]?)\b"
            r".{0,25}\b(?:trial|study)",
            r"non-?randomi[sz]ed",
        ),
        _said(
            "case report",
            "case patient -old",
            r"\bwe (?:report|describe|present)\b.{0,50}\b(?:case|patient|\d+-year-old)",
            r"\ba \d+-(?:year|month|week|day)-old\b|this case report",
        ),
        _said(
            "review",
            "review summar discuss overview highlight focus provid",
            r"\b(?:this|the present|our|in this) (?:article|review|paper|chapter)\b.{0,40}"
            r"\b(?:review|summar|discuss|overview|highlight|focus|provid)",
            r"we (?:will )?(?:review|summari[sz]e|discuss)\b",
            r"(?:is|are|will be) (?:briefly )?(?:reviewed|discussed|summari[sz]ed)\b",
        ),
        _said("animal", "rat mice mouse rabbit pig dog monkey zebrafish hamster sheep drosophila elegans", _ANIMALS),
        _said("in vitro", "vitro cell", r"\bin vitro\b|\bcell lines?\b|\bcultured\b.{0,20}\bcells\b"),
    )
)


def design_of(article: Article) -> Design | None:
    """Return the design of the study that an article reports; None where nothing says it.

    >>> from search.article import Article
    >>> design_of(Article(pmid=1, title="Aspirin for zebra bites: a randomised controlled trial."))
    'randomized trial'
    """
    types = [kind.name for kind in article.publication_types]
    for name, design in _OF_TYPE.items():
        if name in types:
            return design
    headings = {heading.descriptor for heading in article.mesh_headings}
    loose = next((design for name, design in _OF_LOOSE_TYPE.items() if name in types), None)
    if loose in ("review", "comment"):
        said = _of_title(article.title)
        return said if said in ("guideline", "meta-analysis", "systematic review", "protocol") else loose
    if "Animals" in headings and "Humans" not in headings:
        return "animal"
    said = _of_title(article.title)
    if said is None or said == "review":
        said = next((design for name, design in _OF_HEADING.items() if name in headings), said)
    said = said or _of_abstract(article.abstract_text)
    if loose is not None:
        return said if said in _SAY_MORE else loose
    if said is None and any(_CELLS.match(name) for name in headings):
        return "in vitro"
    return said


def _of_title(title: str) -> Design | None:
    text = title.lower()
    return next((design for design, pattern in _TITLES if pattern.search(text)), None)


def _of_abstract(abstract: str) -> Design | None:
    text = abstract.lower()
    for design, words, pattern in _TEXTS:
        if any(word in text for word in words.split()) and pattern.search(text):
            return design
    return None


# Sample size ---------------------------------------------------------------------------------------------------------

_UNITS = dict(zip(["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"], range(1, 10), strict=True))
_TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
_UNITS |= dict(zip(_TEENS.split(), range(10, 20), strict=True))
_TENS = dict(
    zip(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], range(20, 100, 10), strict=True)
)
_WORD = "|".join((*_TENS, *sorted(_UNITS, key=len, reverse=True), "hundred", "thousand"))
_NUMBER = re.compile(
    rf"(?<![\d.,])\d{{1,3}}(?:[, ]\d{{3}})+(?![\d.])|(?<![\d.,/-])\d+(?![\d.,]*\d|\s?%|-)|"
    rf"\b(?:{_WORD})(?:(?:-| and | )(?:{_WORD}))*\b"
)
_PEOPLE = re.compile(
    r"\b(?:patients?|participants?|subjects?|(?:wo)?men|children|adults|infants|neonates|volunteers|individuals|people|"
    r"persons|adolescents|cases|eyes|respondents|students|nurses|physicians|veterans|residents|pregnancies|outpatients|"
    r"inpatients|(?:fe)?males|boys|girls|users|survivors|families|donors|recipients|rats|mice|rabbits|pigs|dogs|animals)\b"
)
#: How far before the word for those who took part their number may be, and how far around it what they did.
_BEFORE, _AROUND = 60, 40
_N_EQUALS = re.compile(r"\b[nN] ?= ?(\d{1,3}(?:,\d{3})+|\d+)\b")
_MOST = 100_000_000
_WHOLE = re.compile(r"random|enrol|includ|recruit|total|participat|took part|were (?:studied|assigned|analy|evaluated)")
_PART = re.compile(
    r"\b(?:of (?:the|these|whom|which)|per|control|withdr|dropped|died|developed|complet|respond|had|reported|"
    r"experienced|excluded)"
)
_OTHER = re.compile(
    r"[.;]|\b(?:years?|months?|weeks?|days?|hours?|mg|cent(?:er|re)s?|hospitals?|trials?|studies|percent|and|of|to|or)\b"
)


def sample_size(article: Article) -> int | None:
    """Return how many took part in the study: people, or animals; None where the abstract does not say.

    Numbers in figures or spelled out. Where several are named: the first that is said to be the whole (randomised,
    enrolled, included, in total), else the largest.
    """
    text = article.abstract_text
    counts = list(_counts(text.lower()))
    if not counts:
        sizes = [_value(match[1]) for match in _N_EQUALS.finditer(text)]
        return sum(sizes) if 0 < len(sizes) <= 4 and sum(sizes) <= _MOST else None
    whole = [number for number, is_whole in counts if is_whole]
    return whole[0] if whole else max(number for number, _ in counts)


def _counts(text: str) -> Iterator[tuple[int, bool]]:
    """Yield the numbers of people or animals in a text in lower case, and whether each is said to be the whole."""
    end = 0
    for people in _PEOPLE.finditer(text):
        start = max(end, people.start() - _BEFORE)
        numbers = list(_NUMBER.finditer(text, start, people.start()))
        end = people.end()
        if not numbers:
            continue
        between, after = text[numbers[-1].end() : people.start()], text[end : end + _AROUND].partition(".")[0]
        number = _value(numbers[-1][0])
        if not 2 <= number <= _MOST or len(between.split()) > 5 or _OTHER.search(between):
            continue
        before = text[max(0, numbers[-1].start() - 25) : numbers[-1].start()].rpartition(". ")[2]
        if _WHOLE.search(before) or _WHOLE.search(between) or _WHOLE.search(after):
            yield number, True
        elif not _PART.search(after) and not _PART.search(between):
            yield number, False


def _value(text: str) -> int:
    """Return the number that figures or words stand for: `1,204`, `Fifty-two`, `two hundred and ten`."""
    digits = re.sub(r"[, ]", "", text)
    if digits.isdigit():
        return int(digits)
    total = part = 0
    for word in re.findall(r"[a-z]+", text):
        if word == "hundred":
            part = max(part, 1) * 100
        elif word == "thousand":
            total, part = total + max(part, 1) * 1000, 0
        else:
            part += _UNITS.get(word, 0) + _TENS.get(word, 0)
    return total + part


# Registries ----------------------------------------------------------------------------------------------------------

_REGISTERED = re.compile(
    r"\b(?:NCT ?0\d{7}|ISRCTN ?\d{8}|ACTRN ?\d{14}|"
    r"ChiCTR[-A-Z]*\d{8,10}|DRKS ?\d{8}|UMIN ?\d{9}|"
    r"CTRI/\d{4}/\d{2,3}/\d{6}|IRCT ?\d{8,}(?:N\d+)?|PACTR ?\d{15}|"
    r"KCT ?\d{7}|TCTR ?\d{11}|CRD ?42\d{9}|NTR ?\d{3,5}|\d{4}-\d{6}-\d{2})\b"
)


def registry_numbers(article: Article) -> tuple[str, ...]:
    """Return the registry numbers of an article, from its record and its abstract: `NCT01234567`, `CRD42020123456`."""
    in_text = (match[0].replace(" ", "") for match in _REGISTERED.finditer(article.abstract_text))
    return tuple(dict.fromkeys([*article.trial_numbers, *in_text]))
