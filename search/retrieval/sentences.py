"""Cutting the text of abstracts into sentences, as biomedical prose is written.

Rules, not a model: what follows a full stop must be able to begin a sentence, and what stands before it must not be an
abbreviation, an initial, a genus (`E. coli`), a number cut in two, or the inside of a parenthesis.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from search.article import Article
from search.patterns import lazy_pattern

__all__ = ["abstract_sentences", "sentence_spans", "sentences_of"]

_STOP = lazy_pattern(r"[.!?]+[\"'”’)\]]*(?:;?\s+|(?=[A-Z•]))")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Never the end of a sentence.
_ABBREVIATIONS = _words(
    """e.g i.e vs v cf viz fig figs eq eqs ref refs tab nos approx ca resp dr drs prof mr mrs ms st suppl vol pp
    eds sect chap"""
)
#: The end of a sentence only if the next word is one that sentences begin with.
_MAYBE = _words(
    """al etc sp spp ssp subsp var cv inc ltd co corp dept univ ed jan feb mar apr jun jul aug sep sept oct nov dec
    temp conc exp wt av avg max"""
)
_DOTTED = lazy_pattern(r"(?:[A-Za-z]\.)+[A-Za-z]")
_UNITS = _words("h hr hrs min sec s d wk wks mo yr yrs mg kg g ml l cm mm nm")

#: After these a single capital is a name, not an initial: `vitamin D. Patients`, `group A. Both`.
_BEFORE_LETTER = _words(
    """vitamin vitamins hepatitis influenza group groups type types grade class stage factor arm cohort phase
    immunoglobulin serotype serogroup coenzyme protein category panel site region"""
)
_STARTERS = _words(
    """a additionally after all also although among an analysis and at because besides both but by compared
    conclusion conversely data despite did does during each eight eleven even every few finally five for four from
    furthermore he her here his how however if in interestingly is it its many mean methods moreover most neither
    nevertheless nine no none nor on one only other our overall participants patients recently results seven several
    she similarly since six some studies subjects subsequently ten that the their then there thereafter therefore
    these they this those three thus to treatment twelve twenty two under until we what when whereas whether which
    while with within"""
)

# Lower case at the head of a sentence: mRNA, p53, pH, miR-21, iPSCs, α-synuclein, and b) of a list; not "patients".
_MIXED_CASE = lazy_pattern(r"(?!(?:min|sec|hr?|kg|mg|ml|cm|mm|[smgld])-?\d)[a-z]{1,3}-?[A-Z0-9]|[α-ω]|[a-z]\)\s")
_NUMBER_TO_COME = lazy_pattern(r"(?:[<>=≤≥±~]\s*\d{1,3}|(?:^|\D)0)$")
_ENUMERATOR = lazy_pattern(r"\(?(?:\d{1,2}|[A-Za-z]|[ivx]{1,4})\)?")
_LISTED = lazy_pattern(r"[:;,]\s+\(?\d{1,2}$")
_OPENING = "([{\"'“‘•"

#: Tags of blocks and headings, as some sources leave them in the text, and any tag.
_BLOCK_TEXT = r"\s*(?:</?(?:\w+:)?(?:h\d|p|b|br|div|sec|title|bold|strong|abstract)\b[^<>]{0,60}>\s*)+"
_BLOCK_TAGS = lazy_pattern(_BLOCK_TEXT)
_TAGS_BEHIND = lazy_pattern(rf"(?:{_BLOCK_TEXT})$")
_ANY_TAG = lazy_pattern(r"</?[a-zA-Z][^<>]{0,60}>")

#: A label in a tag: `<h3>Results</h3>`, `<b>Results</b>:`.
_TAGGED_LABEL = lazy_pattern(r"([A-Za-z][A-Za-z ,/&()'-]{2,60}?)\s*[:.]?\s*</[^<>]{1,20}>\s*[:.]?\s*")
#: A label of a section with nothing behind it but a space and a capital: `Conclusions In COPD ...`.
_BARE_LABEL = lazy_pattern(
    r"(?i:abstract|background|introduction|rationale|objectives?|aims?|purpose|design|setting|results?|findings|"
    r"(?:(?:patients|materials?) and )?methods?|conclusions?|interpretation|discussion|methods and results|"
    r"background and (?:aims?|objectives?|purpose)|discussion and conclusions?) (?=[A-Z][A-Za-z]|A |\d)"
)
_LABEL = lazy_pattern(r"([A-Za-z][A-Za-z ,/&()'-]{2,60}?)\s*(:|\.|--?)\s*(?=\S)")
_LABEL_WORDS = _words(
    """abstract aim aims analysis background case conclusion conclusions context data design diagnosis discussion
    evaluation evidence experimental findings funding goal hypothesis importance implications interpretation
    intervention interventions introduction limitations main material materials measurements measures method methods
    objective objectives outcome outcomes participants patients perspective procedure purpose question rationale
    recommendations registration report result results sample selection setting settings significance statement study
    subjects summary synthesis"""
)


def abstract_sentences(article: Article) -> list[tuple[int, int]]:
    """Return start and end of each sentence in `Article.abstract_text`; none reaches over two sections."""
    spans: list[tuple[int, int]] = []
    offset = 0
    for section in article.abstract:
        if section.text:
            spans.extend((start + offset, end + offset) for start, end in sentence_spans(section.text))
            # abstract_text joins the sections by one space.
            offset += len(section.text) + 1
    return spans


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Return start and end of each sentence of a text, without the space around it and without a label in front.

    >>> [text[start:end] for start, end in sentence_spans(text := "RESULTS: E. coli grew (Fig. 2). P = 0.05.")]
    ['E. coli grew (Fig. 2).', 'P = 0.05.']
    """
    spans = []
    for start, end in _pieces(text):
        start = _without_labels(text, start, end)
        if text[start:end].rstrip().endswith(">"):
            end = start + len(_TAGS_BEHIND.sub("", text[start:end]))
        while start < end and (text[start].isspace() or text[start] == "•"):
            start += 1
        while end > start and (text[end - 1].isspace() or text[end - 2 : end] == ".;"):
            end -= 1
        if start < end:
            spans.append((start, end))
    return spans


def sentences_of(text: str) -> list[str]:
    """Return the sentences of a text, as `sentence_spans` cuts it."""
    return [text[start:end] for start, end in sentence_spans(text)]


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    for match in _STOP.finditer(text):
        if match.end() < len(text) and _is_end(text, start, match):
            yield start, match.end()
            start = match.end()
    yield start, len(text)


def _is_end(text: str, start: int, match: re.Match[str]) -> bool:
    before, stop, after = text[start : match.start()], match[0], text[match.end() : match.end() + 60]
    if stop[-1:].isspace():
        if not _can_begin(after) or _inside_parenthesis(text, before + stop, match.end()):
            return False
    elif not _is_glued(before, stop, after):
        return False
    if "?" in stop or "!" in stop:
        return True
    return _ends_with(before, stop.rstrip() == ".", after)


def _ends_with(before: str, bare: bool, after: str) -> bool:
    """Whether a full stop can be the end of a sentence after these words (`bare`: no bracket closes behind it)."""
    words = before.split()
    if not words or _ENUMERATOR.fullmatch(before.strip()) or _LISTED.search(before):
        return False
    token = words[-1].lstrip(_OPENING)
    lower = token.lower()
    next_word = re.match(r"\W*([\w'-]*)", after)
    starts = next_word is not None and next_word[1].lower() in _STARTERS and not after[:1].islower()
    if lower in _ABBREVIATIONS:
        return not bare and starts
    if lower in _MAYBE or _DOTTED.fullmatch(token):
        return starts
    if after[:1].isdigit() and (lower == "no" or lower in _UNITS or _NUMBER_TO_COME.search(before)):
        return False
    if len(token) == 1 and token.isupper():
        return starts or (len(words) > 1 and words[-2].lower().strip("(,") in _BEFORE_LETTER)
    return True


def _can_begin(after: str) -> bool:
    head = (_ANY_TAG.sub("", after) if "<" in after else after).lstrip(_OPENING + " ")
    return bool(head) and (
        head[0].isdigit() or (head[0].isalpha() and not head[0].islower()) or bool(_MIXED_CASE.match(head))
    )


def _is_glued(before: str, stop: str, after: str) -> bool:
    """Whether a stop without a space after it is one that lost it: `hypoglycaemia.Mean changes were`."""
    token = (before + stop).split()[-1]
    if "/" in token or "@" in token or "www." in token.lower():
        return False
    return bool(
        re.search(r"(?:[a-z-]{3}|[)\]%]|\d)[.!?][)\]]?$", before[-4:] + stop)
        and re.match(r"•|[A-Z][A-Za-z]*[ :,]", after)
    )


def _inside_parenthesis(text: str, before: str, at: int) -> bool:
    if before.count("(") <= before.count(")"):
        return False
    close, opening = text.find(")", at, at + 200), text.find("(", at, at + 200)
    return close != -1 and (opening == -1 or close < opening)


def _without_labels(text: str, start: int, end: int) -> int:
    """Return where a sentence begins behind tags, and labels that are part of the text: `METHODS: `, `Results. `."""
    begun = -1
    while start > begun:
        begun = start
        start = _behind(_BLOCK_TAGS, text, start, end)
        tagged = _TAGGED_LABEL.match(text, start, end)
        if tagged is not None and _is_label(tagged[1]):
            start = tagged.end()
            continue
        match = _LABEL.match(text, start, end)
        if match is not None and (_is_label(match[1]) or (match[2] == ":" and _is_capital_label(match[1]))):
            start = match.end()
        elif text[start : start + 1].isupper():
            start = _behind(_BARE_LABEL, text, start, end)
    # `RESULTS.` has been split off as a separate sentence.
    return end if _is_label(text[start:end].strip().rstrip(".:")) else start


def _behind(pattern: re.Pattern[str], text: str, start: int, end: int) -> int:
    match = pattern.match(text, start, end)
    return match.end() if match is not None else start


def _is_label(name: str) -> bool:
    """Whether there is nothing but words of labels: `Methods and results`, `STUDY DESIGN`."""
    words = [word for word in re.split(r"[\s,/&()-]+", name.lower()) if word not in ("", "and", "of")]
    return bool(words) and all(word in _LABEL_WORDS for word in words)


def _is_capital_label(name: str) -> bool:
    """Whether it is a few words in capitals with one of labels among them: `MAIN OUTCOME MEASURES`."""
    words = re.findall(r"[a-z]+", name.lower())
    return name.isupper() and len(words) <= 6 and any(word in _LABEL_WORDS for word in words)
