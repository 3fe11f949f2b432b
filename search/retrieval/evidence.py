"""Evidence: the sentences of an abstract that say what was found about a question.

The sentence nearest to a question is mostly the one that poses it. So a sentence is judged by its nearness and by its
role: conclusions and results before methods, background and aims. Where a question asks for a detail (how many were
randomised, which dose) and the abstract has it, the sentences that hold such a detail come first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from search.article import Article
from search.models.static_vectors import StaticVectors
from search.models.vectors import normalize
from search.patterns import lazy_pattern
from search.retrieval.roles import role_probabilities
from search.retrieval.section_labels import ROLES, Role
from search.retrieval.sentences import abstract_sentences
from search.storage.bm25 import words

__all__ = ["UNRELATED", "EvidenceSentence", "evidence_for_all"]

Vectors = npt.NDArray[np.floating]

#: A sentence of fewer words (`Review.`, `Level IV.`) is shown only where the abstract has no longer one.
_FEWEST_WORDS = 4

#: What a role adds to a sentence's nearness, in the order of `ROLES`: background, aim, methods, results, conclusions.
_FINDING = np.array([-0.11, -0.22, -0.04, 0.11, 0.22])
_DETAIL = np.array([-0.11, -0.22, 0.04, 0.07, 0.04])
#: What the detail that a question asks for adds.
_HAS_DETAIL = 0.25

#: The share of a question's words that a sentence has stands for its nearness until that is known: alone, or beside the
#: cosine of its static vector.
_OVERLAP, _OVERLAP_BESIDE, _STATIC = 0.6, 0.25, 0.9
#: Where one sentence is shown, the second best by these is encoded too, unless it is this far behind.
_BEHIND = 0.08

#: An article whose best sentence is less near than this has none that answers.
_NEAR_ENOUGH = 0.32
#: Sentences on a dozen subjects. How near a question is to what has nothing to do with it, by the model in use, is the
#: middle of its cosines to these.
UNRELATED = (
    "The fracture healed after twelve weeks in a plaster cast.",
    "Caries was found in two of three children at the school.",
    "The gene is expressed in the roots of young barley plants.",
    "Nurses who worked at night reported poorer sleep.",
    "The lens was removed and vision returned to normal.",
    "Soil samples held traces of lead and cadmium.",
    "Patients preferred the shorter questionnaire.",
    "Calves of vaccinated cows gained weight faster.",
    "The protein folds into three helices at low temperature.",
    "Hearing thresholds rose by ten decibels after exposure to noise.",
    "Costs per admission were lower in rural hospitals.",
    "Larvae of the mosquito died within a day.",
)

_NUMBER = r"(?:\d[\d,]*|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|[a-z]+teen|[a-z]+ty(?:-[a-z]+)?)"
_PEOPLE = (
    r"(?:patients?|participants?|subjects?|women|men|children|adults|infants|volunteers|individuals|people|persons)"
)
_SPAN = r"\d[\d.]*[ -]?(?:to \d+ )?(?:days?|weeks?|months?|years?|hours?|h|min)\b"
#: What a question asks for, and how a sentence looks that holds it.
_DETAILS = tuple(
    (lazy_pattern(asked, re.IGNORECASE), lazy_pattern(held, re.IGNORECASE))
    for asked, held in (
        (rf"how many (?:\w+ ){{0,3}}{_PEOPLE}|sample size", rf"{_NUMBER}(?: [\w-]+){{0,4}} {_PEOPLE}|\bn ?= ?\d"),
        (
            r"(?:random|allocat|assign|enrol|includ|recruit)\w* *(?:in .*)?\?*$",
            rf"(?:{_NUMBER}.*{_PEOPLE}|{_PEOPLE}.*{_NUMBER}).*(?:random|allocat|assign|enrol|includ|recruit)|"
            rf"(?:random|allocat|assign|enrol|includ|recruit).*{_NUMBER}.*{_PEOPLE}",
        ),
        (
            r"\b(?:what|which) (?:\w+ )?(?:dose|dosage)|how (?:large|high) (?:was|is|a) (?:the )?dose",
            r"\d ?(?:mg|µg|μg|mcg|g|ml|iu|units?)\b",
        ),
        (
            r"how old|(?:what|mean|average|median) age",
            r"(?:mean|median|average) age|\baged?\b.*\d|\d.*years? (?:of age|old)",
        ),
        (r"how long .*follow|(?:length|duration) of follow|follow-?up\?*$", rf"follow.*{_SPAN}|{_SPAN}.*follow"),
        (r"how long\b|duration", _SPAN),
        (r"(?:primary|main) (?:outcome|end ?-?point)", r"(?:primary|main) (?:\w+ ){0,2}(?:outcome|end ?-?point)"),
        (
            r"what (?:percentage|proportion|percent)|how (?:common|frequent)|prevalence|incidence",
            r"\d ?%|\bper \d|\d (?:in|of) \d",
        ),
    )
)

_LOOKED_AT = (
    "(?:assessed|explored|examined|tested|determined|established|confirmed|evaluated|clarified|investigated|studied)"
)
#: A sentence that announces what is reviewed or awaited, calls for more research, or says only how many were studied.
_EMPTY = lazy_pattern(
    r"\b(?:further|future|more|additional|larger|prospective)\b.*"
    r"\b(?:research|stud(?:y|ies)|trials?|investigations?|work)\b.*"
    r"\b(?:need|requir|warrant|necessary|should|recommend)|"
    r"\b(?:remains?|yet) to be\b|"
    rf"\bneeds? to be (?:\w+ )?{_LOOKED_AT}\b|\b(?:should|must) be further {_LOOKED_AT}\b|"
    rf"\b(?:should|must) be {_LOOKED_AT} (?:further|in (?:future|larger|randomi[sz]ed|controlled|prospective))\b|"
    r"\bthere is (?:an? |still )?(?!no )(?:\w+ )?need\b|\bneeds? to conduct\b|\bwork (?:still )?(?:has|needs) to be\b|"
    r"\b(?:is|are) (?:currently |now )?(?:being conducted|under ?way|ongoing|(?:eagerly )?awaited)\b|"
    r"\bexpected to be completed\b|^(?:appendix|section|part|table) \w+ (?:examines|describes|discusses|lists|gives)\b|"
    r"\b(?:review|article|paper|chapter) aims\b|"
    r"\b(?:following|this|it) (?:is a review|will (?:summari|review|discuss))|"
    rf"^(?:a total of |in (?:total|all),? )?{_NUMBER}[\w, -]* (?:were|was) "
    r"(?:studied|included|enrolled|recruited|randomi[sz]ed)(?: in (?:the|this) \w+)?\.?$|"
    r"\b(?:this|the|our) (?:present )?(?:review|article|report|paper|chapter|overview|study|editorial)\b"
    r"(?: will)?(?: briefly| also)? (?:review|summari|discuss|describ|examin|explor|address|highlight|outline|focus|"
    r"present|overview|provides? an? (?:overview|summary|review))|"
    r"\bwe (?:will |also |briefly )*(?:review|discuss|summari[sz]e|describe)\b|"
    r"\b(?:are|is|will be) (?:also |briefly )*"
    r"(?:reviewed|discussed|described|presented|summari[sz]ed|outlined|assessed)\b",
    re.IGNORECASE,
)

#: A sentence that says that a disease is frequent or grave, or what it is, and a question about that.
_BURDEN = lazy_pattern(
    r"\b(?:is|are|remains?|represents?) (?:also |still |now )?(?:an?|the|one of the|among the) (?:[\w-]+,? ){0,3}?"
    r"(?:commonest|common|frequent|prevalent|leading|major|widespread|chronic|serious|debilitating|distressing|"
    r"disabling|growing|important) (?:[\w-]+,? ){0,4}?(?:disease|disorder|condition|problem|illness|syndrome|symptom|"
    r"complaint|burden|concern|causes? of (?:death|disability|morbidity|mortality))s?\b|"
    r"\baffect(?:s|ing) (?:approximately |about |nearly |almost |over |an estimated |up to |more than )?"
    r"(?:\d|(?:many )?(?:millions|thousands)|one in)",
    re.IGNORECASE,
)
_ASKS_BURDEN = lazy_pattern(
    r"\bwhat(?: is|'s| are)\b|\bwho\b|\bhow (?:common|frequent|many|often|serious|bad)|common|frequen|prevalen|inciden|"
    r"burden|epidemiolog|\bcauses? of\b|affect|problem|serious|importan|leading|define|definition",
    re.IGNORECASE,
)

#: Background that tells what others believe: the paper may find the opposite.
_HEARSAY = lazy_pattern(
    r"suggest|propos|hypothes|speculat|believed|thought to|assumed|controvers|unclear|unknown|uncertain|concern|debate|"
    r"question|conflicting|\bmay\b|\bmight\b|regarded|traditionally|historically|long been",
    re.IGNORECASE,
)


class EvidenceSentence(msgspec.Struct, frozen=True):
    """A sentence of an abstract: `Article.abstract_text[start:end]`, its cosine similarity to the question, its role.

    The role is that of its section; in an abstract without sections it is predicted.
    """

    text: str
    start: int
    end: int
    score: float
    role: Role

    @property
    def section(self) -> str:
        """The role as it is shown before the sentence: `Conclusions`."""
        return self.role.capitalize()


class _Candidate(msgspec.Struct):
    """A sentence that may be shown; `worth` is what its role and the `details` it holds add to its nearness."""

    text: str
    start: int
    end: int
    role: Role
    details: int
    worth: float
    nearness: float
    score: float = 0.0


def evidence_for_all(
    articles: Sequence[Article],
    question: str,
    query_vector: Vectors,
    encode: Callable[[list[str]], Vectors],
    n: int = 2,
    static: StaticVectors | None = None,
) -> list[list[EvidenceSentence]]:
    """Return the n sentences of each abstract that best say what was found about a question, the best first.

    `query_vector` has shape (dimension,), `encode` gives shape (sentences, dimension), all vectors of unit length. Few
    sentences are encoded, all at once: those whose role and words, and `static` vectors if there are any, make them
    likely. An article has no evidence if it has no abstract, or if none of these sentences is near enough to the
    question.
    """
    if n < 1:
        return [[] for _ in articles]
    every = _candidates(articles, question)
    if static is not None:
        _estimate(every, static, query_vector)
    candidates = [_likely(found, n) for found in every]
    texts = list(dict.fromkeys(candidate.text for found in candidates for candidate in found))
    if not texts:
        return [[] for _ in articles]
    cosines = (encode([*UNRELATED, *texts]) @ query_vector).tolist()
    base = float(np.median(cosines[: len(UNRELATED)]))
    by_text = dict(zip(texts, cosines[len(UNRELATED) :], strict=True))
    for candidate in (candidate for found in candidates for candidate in found):
        candidate.score = by_text[candidate.text]
        candidate.nearness = (candidate.score - base) / (1 - base)
    return [_best(found, n) for found in candidates]


def _candidates(articles: Sequence[Article], question: str) -> list[list[_Candidate]]:
    """Return the sentences of each abstract, with the share of the question's words that each has as its nearness."""
    spans = [abstract_sentences(article) for article in articles]
    question_words = set(words(question))
    details = [held for pattern, held in _DETAILS if pattern.search(question)]
    asks_burden = _ASKS_BURDEN.search(question) is not None
    result = []
    for article, found, probabilities in zip(articles, spans, role_probabilities(articles, spans), strict=True):
        text = article.abstract_text
        sentences = [text[start:end] for start, end in found]
        held = [sum(bool(pattern.search(sentence)) for pattern in details) for sentence in sentences]
        terms = probabilities @ (_DETAIL if any(held) else _FINDING)
        candidates = [
            _Candidate(
                sentence,
                *span,
                role=ROLES[int(row.argmax())],
                details=count,
                worth=float(term) + _HAS_DETAIL * count,
                nearness=_OVERLAP * len(question_words.intersection(words(sentence))) / max(1, len(question_words)),
            )
            for sentence, span, row, term, count in zip(sentences, found, probabilities, terms, held, strict=True)
        ]
        long = [candidate for candidate in candidates if len(candidate.text.split()) >= _FEWEST_WORDS]
        result.append([candidate for candidate in long or candidates if _may_answer(candidate, asks_burden)])
    return result


def _estimate(candidates: Sequence[Sequence[_Candidate]], static: StaticVectors, query_vector: Vectors) -> None:
    """Let static vectors say how near sentences may be: their cosines are .91 correlated with the model's."""
    every = [candidate for found in candidates for candidate in found]
    if every:
        rows = normalize(static.documents([candidate.text for candidate in every]).astype(np.float32))
        cosines = (rows @ static.questions(query_vector[None])[0]).tolist()
        for candidate, cosine in zip(every, cosines, strict=True):
            candidate.nearness *= _OVERLAP_BESIDE / _OVERLAP
            candidate.nearness += _STATIC * cosine


def _may_answer(candidate: _Candidate, asks_burden: bool) -> bool:
    """Whether a sentence can say what was found.

    An aim does not, nor what others were said to believe, nor what announces a review or asks for more research, nor
    how frequent or grave a disease is unless the question asks for that.
    """
    if candidate.details:
        return True
    if _EMPTY.search(candidate.text) or (not asks_burden and _BURDEN.search(candidate.text)):
        return False
    return candidate.role != "aim" and not (candidate.role == "background" and _HEARSAY.search(candidate.text))


def _likely(candidates: list[_Candidate], n: int) -> list[_Candidate]:
    """Return the candidates that are encoded: the best n, and a second one where one is shown and they are close."""
    ranked = _ranked(candidates)
    if n > 1 or len(ranked) < 2:
        return ranked[:n]
    first, second = ranked[:2]
    is_close = first.nearness + first.worth - second.nearness - second.worth <= _BEHIND
    return [first, second] if is_close else [first]


def _ranked(candidates: Sequence[_Candidate]) -> list[_Candidate]:
    return sorted(candidates, key=lambda candidate: (-candidate.nearness - candidate.worth, candidate.start))


def _best(candidates: Sequence[_Candidate], n: int) -> list[EvidenceSentence]:
    if not any(candidate.nearness + _HAS_DETAIL * candidate.details >= _NEAR_ENOUGH for candidate in candidates):
        return []
    return [
        EvidenceSentence(candidate.text, candidate.start, candidate.end, candidate.score, candidate.role)
        for candidate in _ranked(candidates)[:n]
    ]
