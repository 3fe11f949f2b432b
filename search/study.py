"""What kind of study an article reports, how many took part, and where it is registered: determined by rules.

The design is that of NLM's publication types and headings where these say it, else of the words of title and abstract.
It says what was done, not how well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Literal, NamedTuple, get_args

from search.article import Article
from search.characters import spaced
from search.patterns import lazy_pattern

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
#: How the titles of notices about other articles begin, and those of comments.
_NOTICE_TITLE = lazy_pattern(
    r"\[?(?:publisher|author|editorial)?(?:'?s'?)? ?(?:retraction|erratum|errata|corrigend(?:um|a)|correction|addendum|"
    r"expression of concern|withdrawal)(?: (?:notice|note|to)\b| (?:of|for):|:|\W*$)"
)
_COMMENT_TITLE = lazy_pattern(
    r"\[?(?:letters? to the editor|(?:authors?'?|in) (?:reply|response)|reply\b|re: |comment on\b|commentary\b|"
    r"editorial\b|comment[:-]|response to [\"'“‘])"
)
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
#: How the headings of work on cells begin.
_CELLS = ("Cell Line", "Cells, Cultured", "In Vitro Techniques", "Tumor Cells, Cultured")


class _Sign(NamedTuple):
    """A design, and what says it in a text in lower case.

    `words` are cheap to look for: without one of them the pattern, which is not, cannot be found.
    """

    design: Design
    words: frozenset[str]
    pattern: re.Pattern[str]


def _sign(design: Design, words: str, *patterns: str) -> _Sign:
    return _Sign(design, frozenset(words.split()), lazy_pattern("|".join(patterns)))


def _whole(word: str, rest: str = r"\b") -> str:
    r"""Return a pattern like `\b` + word + rest, but beginning with letters, which `re` finds ten times as fast."""
    return rf"{word}(?<!\w{word}){rest}"


def _after(befores: tuple[str, ...], word: str) -> str:
    """Return a pattern for a word after one of some others, beginning with the letters of the word."""
    return f" {word}(?:{'|'.join(f'(?<={before} {word})' for before in befores)})"


def _one_of(words: Iterable[str], more: str = "", figures: str = "") -> str:
    r"""Return a pattern for `\b`, one of some words and `more`, or a digit and `figures`, that begins with a character.

    `re` finds it faster than the words.
    """
    rests: dict[str, list[str]] = {}
    for word in words:
        rests.setdefault(word[0], []).append(word[1:])
    letters = "".join(rests)
    choice = "|".join(f"(?<={letter})(?:{'|'.join(endings)})" for letter, endings in rests.items())
    in_words = rf"(?<!\w[{letters}])(?:{choice}){more}"
    return rf"[\d{letters}](?:(?<=\d)(?:{figures})|{in_words})" if figures else rf"[{letters}]{in_words}"


_ANIMALS = """
rat rats mice mouse rabbit rabbits pig pigs piglets dog dogs cats monkey monkeys macaques zebrafish hamster hamsters
gerbils sheep goat goats ferrets calves horses chickens
"""
_NOT_SEVERAL = r"(?! (?:[\w-]+ ){0,4}(?:trials|studies)\b)"
#: What a title says, in the order in which it is believed; the words may be parts of words here.
_TITLES = (
    _sign("protocol", "protocol rationale", r"\bprotocol (?:for|of)\b|study protocol|rationale and (?:study )?design"),
    _sign("meta-analysis", "meta", r"meta[- ]?analys"),
    _sign("systematic review", "systematic", r"systematic(?: literature)? review|systematic overview"),
    _sign(
        "guideline",
        "guideline practice consensus statement recommendation position",
        r"\bguidelines?\b.*(?:for|on|from)\b|practice (?:guideline|parameter)",
        r"consensus (?:statement|document|conference|report|recommendations?|guidelines?)",
        r"(?:society|college|association|academy|federation)\b.*\b(?:statement|recommendations|position paper)",
    ),
    _sign("review", "review overview", r"\b(?:review|overview) of (?:[\w-]+ ){0,6}trials\b"),
    _sign(
        "randomized trial",
        "random placebo",
        # Several trials are what others did.
        rf"\b(?<!mendelian )randomi[sz]ed\b{_NOT_SEVERAL}|\brandomly\b|\bplacebo-controlled\b{_NOT_SEVERAL}",
    ),
    _sign(
        "animal",
        " in model",
        rf"\bin (?:[\w-]+ ){{0,4}}?(?:{'|'.join(_ANIMALS.split())})\b"
        r"(?! (?:[\w-]+ ){0,2}(?:\w*cytes?|cells?|fibroblasts?|macrophages?|microglia|explants?|cultures?)\b)",
        rf"\b(?:{'|'.join(_ANIMALS.split())}|murine|canine|porcine|ovine|caprine|equine|primate) (?:[\w-]+ )?models?\b",
    ),
    _sign("case-control", "control", r"case[- ]control"),
    _sign("cross-sectional", "sectional", r"cross-?sectional"),
    _sign(
        "cohort",
        "cohort follow-up spective longitudinal",
        r"\bcohort\b|follow-up study|retrospective|prospective (?:study|observational)|longitudinal study",
    ),
    _sign("case report", "case", r"\bcase reports?\b|report of (?:a|one|two|three|\d+) cases?|: a case\b|case series"),
    _sign(
        "review",
        "review overview update state profile",
        r"\breview\b|\boverview\b|\ban update\b|state of the art|profile of its use",
    ),
    _sign(
        "clinical trial",
        "trial study",
        r"\b(?:clinical|pilot|open[- ]label|controlled|phase [1-4i]+[ab]?) (?:trial|study)\b",
    ),
)
_SUBJECTS = "we study trial patients? participants? subjects? women men children adults infants eyes volunteers"
_WHO = _one_of(_SUBJECTS.split())
_RANDOMLY = (
    r"(?:ly|i[sz]ed|i[sz]ation)\b.{0,60}\b(?:assign|allocat|to receive|into|to (?:one|either|placebo)"
    r"|crossover|cross-over|double|trial,|controlled trial (?:of|was|in|with|compar))"
)
_STUDIED = r"\b.{0,20}\b(?:cohort|study|analysis|review of|follow-up)"
_OBSERVED = "prospective retrospective historical population-based longitudinal observational birth"
_TRIED = r"\b.{0,25}\b(?:trial|study)"
_ABOUT = r"\b.{0,40}\b(?:review|summar|discuss|overview|highlight|focus|provid)"
#: Not a review of records, which is a study.
_ITSELF = r"\b(?! (?:of|included|was) (?:the |all |our |\d)?(?:\w+ )?(?:records|charts|cases|patients|\d))"
_BRIEFLY = tuple(f"{be}{briefly}" for be in ("is", "are", "will be") for briefly in ("", " briefly"))
#: What an abstract says, in this order.
_TEXTS = (
    _sign(
        "case report",
        "report describe",
        r"^we (?:report|describe) (?:an?|one|two|three|four|\d) (?:[\w-]+ ){0,3}cases?\b",
    ),
    _sign(
        "meta-analysis",
        "meta metaanalysis metaanalyses",
        r"(?:performed|conducted|did|undertook|carried out|this|present) (?:an? )?(?:\w+[ -]){0,6}meta-?analys",
        r"meta-?analys[ie]s (?:was|were) (?:performed|conducted|done|carried)",
    ),
    _sign("meta-analysis", "pooled", r"pooled (?:odds|risk|hazard) ratio"),
    _sign("systematic review", "systematically", r"systematically (?:searched|reviewed)"),
    _sign(
        "systematic review",
        "systematic",
        r"systematic(?:(?<=this systematic)|(?<=a systematic)|(?<=our systematic))(?: literature)? review",
    ),
    _sign("systematic review", "systematic", r"systematic (?:literature )?search (?:was|of)"),
    _sign(
        "systematic review",
        "searched researched",
        r"\b(?:medline|pubmed|embase)\b.{0,120}\bsearched|searched\b.{0,120}\b(?:medline|pubmed|embase)",
    ),
    # A review may describe trials at length: what it says of itself goes first.
    *(
        _sign("review", word, _after(("this", "the present", "our", "in this"), word) + _ITSELF)
        for word in ("review", "overview", "chapter")
    ),
    *(
        _sign(
            "review",
            word,
            _after(("this", "the", "the present", "our"), word) + r" (?:will )?(?:briefly )?reviews?\b",
        )
        for word in ("article", "paper")
    ),
    _sign(
        "review",
        "review summarize summarise discuss",
        r"^(?:[a-z]+: )?to (?:\w+ly )?(?:review|summari[sz]e|discuss)\b"
        r"(?! (?:[\w-]+ ){0,3}(?:records|charts|experience|cases?|patients?|results|outcomes?)\b)",
    ),
    _sign(
        "review",
        "reviewed",
        r"\b(?:literature|evidence|trials|pharmacology|pharmacokinetics)\b[^.]{0,60} (?:is|are) reviewed\b",
    ),
    _sign(
        "randomized trial",
        "randomly randomized randomised randomization randomisation",
        _whole("random", _RANDOMLY),
    ),
    _sign(
        "randomized trial",
        "randomly randomized randomised",
        _WHO + r"\b.{0,60}\b(?:was|were) random(?:i[sz]ed|ly (?:assigned|allocated|divided|selected to))",
    ),
    *(
        _sign(
            "randomized trial",
            word,
            _whole(
                word,
                r"[- ](?:blind|mask)\w*,? .{0,40}(?:placebo|crossover|cross-over|trial|study|comparison|parallel)",
            ),
        )
        for word in ("double", "single", "triple")
    ),
    _sign("randomized trial", "random", r"random order"),
    _sign("randomized trial", "placebo", r"placebo-controlled (?:trial|study|crossover)"),
    _sign("protocol", "protocol", r"this (?:study )?protocol describes|(?:trial|study) protocol (?:is|for)"),
    _sign("case-control", "control", r"case[- ]control (?:study|analysis|design)"),
    _sign("case-control", "controls", _whole("cases", r" and (?:\d+ )?(?:matched )?controls\b")),
    _sign(
        "cross-sectional",
        "sectional crosssectional",
        r"cross-?sectional (?:study|survey|analysis|design|data|sample)",
    ),
    *(
        _sign("cross-sectional", word, rf"{word} (?:was|were) (?:sent|mailed|administered|completed|distributed)")
        for word in ("questionnaire", "survey")
    ),
    *(_sign("cohort", word.partition("-")[0], _whole(word, _STUDIED)) for word in _OBSERVED.split()),
    _sign("cohort", "cohort", r"cohort (?:study|of)"),
    _sign(
        "cohort",
        "retrospectively",
        r"retrospectively (?:reviewed|analy[sz]ed|studied|evaluated|collected|identified)",
    ),
    *(
        _sign("cohort", word, rf"{word} (?:of|were)\b.{{0,60}}\b(?:review|analy[sz]ed)")
        for word in ("records", "charts")
    ),
    _sign("clinical trial", "open", _whole("open", r"[- ]label" + _TRIED)),
    _sign("clinical trial", "phase", _whole("phase", r" (?:[1-4]|i{1,3}|iv)[ab]?" + _TRIED)),
    *(
        _sign("clinical trial", word.partition("-")[0], _whole(word, _TRIED))
        for word in ("single-arm", "uncontrolled", "crossover", "cross-over", "pilot")
    ),
    _sign("clinical trial", "non nonrandomized nonrandomised", r"non-?randomi[sz]ed"),
    _sign(
        "case report",
        "report describe present",
        _whole("we ", r"(?:report|describe|present)\b.{0,50}\b(?:case|patient|\d+-year-old)"),
    ),
    _sign("case report", "old", _whole("a ", r"\d+-(?:year|month|week|day)-old\b")),
    _sign("case report", "case", r"(?:this|single) case report|this case study\b[^.]*\bpatient\b"),
    _sign("case report", "describe", r"to describe an? (?:[\w-]+ ){0,3}(?:case|patient)\b"),
    *(
        _sign("review", word, _after(("this", "the present", "our"), word) + _ABOUT)
        for word in ("article", "review", "paper", "chapter")
    ),
    _sign("review", "review summarize summarise discuss", r"we (?:will )?(?:review|summari[sz]e|discuss)\b"),
    *(
        _sign("review", word, _after(_BRIEFLY, word) + r"\b")
        for word in ("reviewed", "discussed", "summarized", "summarised")
    ),
    *(_sign("animal", word, _whole(word)) for word in (*_ANIMALS.split(), "drosophila")),
    _sign("animal", "elegans", r"\b(?:c\.|caenorhabditis) elegans\b"),
    _sign("in vitro", "vitro", _whole("in vitro")),
    _sign("in vitro", "line lines", _whole("cell line", r"s?\b")),
    _sign("in vitro", "cultured", _whole("cultured", r"\b.{0,20}\bcells\b")),
)


def design_of(article: Article) -> Design | None:
    """Return the design of the study that an article reports; None where nothing says it, and for a notice.

    >>> from search.article import Article
    >>> design_of(Article(pmid=1, title="Aspirin for zebra bites: a randomised controlled trial."))
    'randomized trial'
    """
    if _is_notice(article):
        # It has the title and often the types of the study that it is about.
        return None
    types = [kind.name for kind in article.publication_types]
    for name, design in _OF_TYPE.items():
        if name in types:
            return design
    headings = {heading.descriptor for heading in article.mesh_headings}
    loose = next((design for name, design in _OF_LOOSE_TYPE.items() if name in types), None)
    if loose is None and _COMMENT_TITLE.match(article.title.lower()):
        loose = "comment"
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
    if said is None and any(name.startswith(_CELLS) for name in headings):
        return "in vitro"
    return said


def _is_notice(article: Article) -> bool:
    return article.is_notice or bool(_NOTICE_TITLE.match(article.title.lower()))


def _of_title(title: str) -> Design | None:
    text = title.lower()
    for design, words, pattern in _TITLES:
        for word in words:
            if word in text:
                if pattern.search(text):
                    return design
                break
    return None


# The design is looked up for the sample size, too.
@lru_cache(maxsize=1)
def _of_abstract(abstract: str) -> Design | None:
    text, told = _read(abstract)
    if told:
        for design, words, pattern in _TEXTS:
            if not told.isdisjoint(words) and pattern.search(text):
                return design
    return None


# Sample size ---------------------------------------------------------------------------------------------------------

_UNITS = dict(zip(["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"], range(1, 10), strict=True))
_TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
_UNITS |= dict(zip(_TEENS.split(), range(10, 20), strict=True))
_TENS = dict(
    zip(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], range(20, 100, 10), strict=True)
)
_NUMBER_WORDS = (*_TENS, *sorted(_UNITS, key=len, reverse=True), "hundred", "thousand")
_WORD = "|".join(_NUMBER_WORDS)
_FIGURES = r"(?<![\w.,]\d)\d{0,2}(?:[, ]\d{3})+(?![\d.])|(?<![\w.,/-]\d)\d*(?![\d.,]*\d|\s?%|-)"
_IN_FIGURES = lazy_pattern(rf"\d(?:{_FIGURES})")
_NUMBER = lazy_pattern(_one_of(_NUMBER_WORDS, rf"(?:(?:-| and | )(?:{_WORD}))*\b", _FIGURES))
_OF_PEOPLE = """
patient patients participant participants subject subjects men women children adults infants neonates volunteers
individuals people persons adolescents cases eyes respondents students nurses physicians veterans residents pregnancies
outpatients inpatients males females boys girls users survivors families donors recipients rats mice rabbits pigs dogs
animals
"""
_PEOPLE = {word: lazy_pattern(_whole(word)) for word in _OF_PEOPLE.split()}
#: How far before the word for those who took part their number may be, and how far around it what they did.
_BEFORE, _AROUND = 60, 40
_N_EQUALS = lazy_pattern(r"=(?:(?<=\b[nN]=)|(?<=\b[nN] =)) ?(\d{1,3}(?:,\d{3})+|\d+)\b")
_MOST = 100_000_000
_WHOLE = lazy_pattern(
    r"random|enrol|includ(?!ing)|recruit|total|participat|took part|were (?:studied|assigned|analy|evaluated)"
)
#: The number of a type (`type 2 diabetic patients`), or a limit.
_NO_COUNT = lazy_pattern(
    r"(?:\b(?:types?|grades?|class|stages?|phase|levels?|category|groups?|version)|[<>≥≤]|"
    r"at least|or =|each included(?: more than)?) ?$"
)
_PART_OF = lazy_pattern(r"\bof (?:the|these|whom|which)|%")
#: A share behind the people says that they are some of all: `15 patients (6.6%)`.
_SHARE = lazy_pattern(r" ?\(\d[\d.]* ?%")
_PART = lazy_pattern(
    r"\b(?:per|control|withdr|dropped|died|developed|complet|respond|had|reported|"
    r"experienced|excluded)"
)
_OTHER = lazy_pattern(
    r"[.;]|\b(?:years?|months?|weeks?|days?|hours?|mg|cent(?:er|re)s?|hospitals?|trials?|studies|percent|and|of|to|or)\b"
)


def sample_size(article: Article) -> int | None:
    """Return how many took part in the study: people, or animals; None where the abstract does not say.

    Numbers in figures or spelled out. Where several are named: the first that is said to be the whole (randomised,
    enrolled, included, in total), else the largest. Reviews, guidelines, comments and notices have none.
    """
    if _is_notice(article) or design_of(article) in ("review", "guideline", "comment"):
        return None
    text = article.abstract_text
    counts = list(_counts(*_read(text)))
    if not counts:
        sizes = [_value(match[1]) for match in _N_EQUALS.finditer(text)]
        return _sum(sizes) if 0 < len(sizes) <= 4 and sum(sizes) <= _MOST else None
    whole = [number for number, is_whole in counts if is_whole]
    return whole[0] if whole else max(number for number, _ in counts)


def _sum(sizes: list[int]) -> int:
    """Return the sum of the sizes of groups; where one is that of the others together, it is the sum."""
    return max(sizes) if len(sizes) > 2 and 2 * max(sizes) == sum(sizes) else sum(sizes)


def _counts(text: str, told: frozenset[str]) -> Iterator[tuple[int, bool]]:
    """Yield the numbers of people or animals in a text in lower case, and whether each is said to be the whole."""
    end = 0
    every = [match for word in told & _PEOPLE.keys() for match in _PEOPLE[word].finditer(text)]
    number_of = _IN_FIGURES if told.isdisjoint(_NUMBER_WORDS) else _NUMBER
    for people in sorted(every, key=re.Match.start):
        start = max(end, people.start() - _BEFORE)
        numbers = list(number_of.finditer(text, start, people.start()))
        end = people.end()
        if not numbers:
            continue
        between, after = text[numbers[-1].end() : people.start()], text[end : end + _AROUND].partition(".")[0]
        number = _value(numbers[-1][0])
        if not 2 <= number <= _MOST or len(between.split()) > 5 or _OTHER.search(between):
            continue
        before = text[max(0, numbers[-1].start() - 25) : numbers[-1].start()].rpartition(". ")[2]
        if _NO_COUNT.search(before):
            continue
        if _WHOLE.search(before) or _WHOLE.search(between) or _WHOLE.search(after):
            yield number, True
        elif not (_PART.search(after) or _SHARE.match(text, end) or _PART.search(between) or _PART_OF.search(between)):
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


#: Words of a text that say something about its study.
_TELLING = frozenset().union(*(sign.words for sign in _TEXTS), _PEOPLE, _NUMBER_WORDS)


# Both the design and the size of an article are looked up.
@lru_cache(maxsize=1)
def _read(text: str) -> tuple[str, frozenset[str]]:
    """Return a text in lower case, and which of its words tell something; letters beyond ASCII end words."""
    text = text.lower()
    return text, _TELLING.intersection(spaced(text).split())


# Registries ----------------------------------------------------------------------------------------------------------

#: Without one of these there is no registry number.
_REGISTRIES = ("CT", "DRKS", "UMIN", "CRD", "NTR")
_EUDRACT = lazy_pattern(r"-\d{6}-")
_REGISTERED = lazy_pattern(
    r"\b(?:NCT ?0\d{7}|ISRCTN ?\d{8}|ACTRN ?\d{14}|"
    r"ChiCTR[-A-Z]*\d{8,10}|DRKS ?\d{8}|UMIN ?\d{9}|"
    r"CTRI/\d{4}/\d{2,3}/\d{6}|IRCT ?\d{8,}(?:N\d+)?|PACTR ?\d{15}|"
    r"KCT ?\d{7}|TCTR ?\d{11}|CRD ?42\d{9}|NTR ?\d{3,5}|\d{4}-\d{6}-\d{2})\b"
)


def registry_numbers(article: Article) -> tuple[str, ...]:
    """Return the registry numbers of an article, from its record and its abstract: `NCT01234567`, `CRD42020123456`."""
    text = article.abstract_text
    found = _REGISTERED.finditer(text) if any(name in text for name in _REGISTRIES) or _EUDRACT.search(text) else ()
    return tuple(dict.fromkeys([*article.trial_numbers, *(match[0].replace(" ", "") for match in found)]))
