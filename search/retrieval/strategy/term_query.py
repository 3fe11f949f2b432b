"""What one term of a strategy asks of the tokens of articles, field by field, by PubMed's rules."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from search.errors import QueryError
from search.normalize import common_journals, common_type, folded_words, journal_key, language_code
from search.retrieval.strategy.field_tags import FIELDS, FILTER_WORDS, Field
from search.retrieval.strategy.pubmed_vocabulary import (
    FILTERS,
    STOPWORDS,
    narrower_subheadings,
    narrower_types,
    subheading_of,
)
from search.retrieval.strategy.strategy_tree import DateRange, Term
from search.storage.article_tokens import key_of
from search.storage.token_query import AnyOf, Joined, Near, Phrase, PmidSet, TokenQuery

__all__ = [
    "any_of",
    "authors_query",
    "conjunction",
    "date_query",
    "disjunction",
    "near_queries",
    "person_tokens",
    "term_query",
]

#: The names below a MeSH heading, given by its name; nothing for one that is not known.
Below = Callable[[str], Iterable[str]]


class Acting(Protocol):
    """The substances with a pharmacological action, given by its name."""

    def __call__(self, action: str, *, explode: bool = True) -> Iterable[str]:
        """Return their names. Raises QueryError if there is no such action."""
        ...


#: Subsets that records tell of.
_SUBSETS = frozenset({"all", "medline", "inprocess", "publisher", "pubmednotmedline", "free full text", "pubmed books"})
_SUFFIXES = frozenset({"jr", "sr", "2nd", "3rd", "4th", "ii", "iii", "iv"})
_MOST_INITIALS = 3


def term_query(term: Term, below: Below, acting: Acting | None = None) -> TokenQuery:
    """Return what a term asks for; `below` and `acting` are what MeSH knows of headings and of actions.

    Proximity is not decided here (`near_queries`). Raises QueryError for a value that no record can have.
    """
    field = FIELDS[term.field]
    if field.kind == "words":
        return _all_fields(term) if term.field == "all" and not term.quoted else _words(term, field)
    if field.kind == "pmid":
        return PmidSet((int(term.text),))
    if field.kind == "person":
        return _person(term, field)
    if field.kind == "action":
        return _action(term, acting)
    return any_of(exact_tokens(term, below), truncated=term.truncated)


def exact_tokens(term: Term, below: Below) -> list[str]:
    """Return the exact values (`field:value`) that a term of a vocabulary or an identifier stands for."""
    field = FIELDS[term.field]
    if field.kind == "heading":
        return list(_headings(term, field.keys[0], below))
    if field.kind == "subheading":
        if term.truncated:
            return [f"sh:{key_of(term.text)}"]
        name = subheading_of(term.text)
        return [f"sh:{key_of(found)}" for found in (narrower_subheadings(name) if term.explode else [name])]
    if field.kind == "filter":
        return [f"sb:{_filter(term.text)}"]
    if term.field == "pt":
        name = common_type(term.text)
        types = narrower_types(name) if term.explode and not term.truncated else [name]
        return list(
            dict.fromkeys(f"pt:{key_of(kind)}" for kind in [*types, *(below(term.text) if term.explode else ())])
        )
    return [f"{field.keys[0]}:{value}" for value in _values(term)]


def any_of(tokens: Iterable[str], *, truncated: bool = False) -> AnyOf:
    """Return a query for any of some exact values, or for what begins with them."""
    values = tuple(dict.fromkeys(tokens))
    return AnyOf(prefixes=values, exact=True) if truncated else AnyOf(values, exact=True)


# Words ---------------------------------------------------------------------------------------------------------------


def _words(term: Term, field: Field) -> TokenQuery:
    return _in_zones(folded_words(term.text), field.zones, truncated=term.truncated)


def _in_zones(words: list[str], zones: str, *, truncated: bool) -> TokenQuery:
    """Return a query for a word or a phrase in any of some zones."""
    if len(words) == 1:
        tokens = tuple(f"{zone}:{words[0]}" for zone in zones)
        return AnyOf(prefixes=tokens) if truncated else AnyOf(tokens)
    return disjunction([Phrase(tuple(f"{zone}:{word}" for word in words), truncated) for zone in zones])


def _all_fields(term: Term) -> TokenQuery:
    """Return a query for words without a tag: each of them anywhere, stopwords left out; hyphens make a phrase."""
    parts = [words for part in term.text.split() if (words := folded_words(part))]
    kept = [words for words in parts if len(words) > 1 or words[0] not in STOPWORDS] or parts
    zones = FIELDS["all"].zones
    last = len(kept) - 1
    return conjunction(
        [_in_zones(words, zones, truncated=term.truncated and place == last) for place, words in enumerate(kept)]
    )


def near_queries(term: Term) -> list[tuple[str, TokenQuery]]:
    """Return, for each zone of a proximity search, a query for every article that can match, and maybe others.

    With two words and one value in the zone it finds just those that match: neighbours are at most `distance` words
    apart, so every two words of n are at most (n - 1) * distance + n - 2 apart.
    """
    words = folded_words(term.text)
    distance = (len(words) - 1) * (term.distance or 0) + len(words) - 2
    queries = []
    for zone in FIELDS[term.field].zones:
        tokens = [f"{zone}:{word}" for word in words]
        queries.append((zone, conjunction([Near(tokens[0], token, distance) for token in tokens[1:]])))
    return queries


def conjunction(parts: list[TokenQuery]) -> TokenQuery:
    """Return a query for what all of some queries find."""
    return parts[0] if len(parts) == 1 else Joined("AND", tuple(parts))


def disjunction(parts: list[TokenQuery]) -> TokenQuery:
    """Return a query for what any of some queries finds; sets of tokens become one set."""
    merged: list[TokenQuery] = []
    for exact in (False, True):
        sets = [part for part in parts if isinstance(part, AnyOf) and part.exact is exact]
        if sets:
            tokens = dict.fromkeys(token for part in sets for token in part.tokens)
            prefixes = dict.fromkeys(prefix for part in sets for prefix in part.prefixes)
            merged.append(AnyOf(tuple(tokens), tuple(prefixes), exact))
    merged += [part for part in parts if not isinstance(part, AnyOf)]
    return merged[0] if len(merged) == 1 else Joined("OR", tuple(merged))


# Vocabularies --------------------------------------------------------------------------------------------------------


def _headings(term: Term, prefix: str, below: Below) -> Iterator[str]:
    heading, slash, qualifier = term.text.partition("/")
    name = " ".join(heading.split())
    if term.truncated:
        yield f"{prefix}:{key_of(term.text)}"
        return
    names = dict.fromkeys([name, *(below(name) if term.explode else ())])
    if not slash:
        yield from (f"{prefix}:{key_of(found)}" for found in names)
        return
    under = subheading_of(qualifier)
    for found in names:
        for part in narrower_subheadings(under) if term.explode else [under]:
            yield f"{prefix}:{key_of(found)}/{key_of(part)}"


def _action(term: Term, acting: Acting | None) -> AnyOf:
    """Return a query for the substances with an action, which records have as substances and as headings."""
    if acting is None:
        raise QueryError(
            f"[{term.field}] needs MeSH, which names the actions of each substance: run `search mesh update`, or give "
            "NLM's descYYYY.xml and suppYYYY.xml to `search mesh add`"
        )
    if term.truncated:
        raise QueryError(f"write the name of a pharmacological action whole, without *, not {term.text!r}")
    names = [key_of(name) for name in acting(term.text, explode=term.explode)]
    return any_of(f"{prefix}:{name}" for prefix in ("nm", "mh") for name in names)


def _filter(text: str) -> str:
    name = " ".join(text.lower().split())
    if name in _SUBSETS or name in FILTER_WORDS:
        return key_of(name)
    near = difflib.get_close_matches(name, [*_SUBSETS, *FILTER_WORDS, *FILTERS], n=3, cutoff=0.6)
    hint = f"the nearest are {', '.join(near)}" if near else "records tell of medline, free full text, hasabstract"
    raise QueryError(f"no filter {text!r}: {hint}")


def _values(term: Term) -> list[str]:
    text = term.text.strip()
    if term.field == "ta":
        return [_spelled(journal_key(name)) for name in common_journals(text)]
    if term.field == "la":
        return [key_of(text if term.truncated else language_code(text))]
    if term.field in ("aid", "lid", "doi"):
        return [_spelled(_without(text, "https://doi.org/", "http://doi.org/", "https://dx.doi.org/", "doi:"))]
    if term.field == "pmc":
        number = key_of(text).removeprefix("pmc")
        return [f"pmc{number}"]
    if term.field == "rn":
        value = key_of(text)
        return [value] if value.startswith("ec_") or not value.replace("_", "").isdigit() else [value, f"ec_{value}"]
    if term.field == "auid":
        return [_spelled(_without(text, "orcid", "https://orcid.org/", "http://orcid.org/", "orcid:"))]
    return [key_of(text) if term.field == "si" else _spelled(text)]


def _spelled(text: str) -> str:
    """Return a value whose slashes are no more than spaces."""
    return "_".join(folded_words(text))


def _without(text: str, *prefixes: str) -> str:
    for prefix in prefixes:
        if text.lower().startswith(prefix):
            return text[len(prefix) :].strip()
    return text


# People --------------------------------------------------------------------------------------------------------------


def _person(term: Term, field: Field) -> TokenQuery:
    tokens: list[str] = []
    prefixes: list[str] = []
    for key in field.keys:
        full = key in ("fau", "fir")
        for token, begins in person_tokens(term.text, full=full, quoted=term.quoted and not term.truncated):
            (prefixes if begins else tokens).append(f"{key}:{token}")
    if term.truncated:
        prefixes = [f"{key}:{'_'.join(folded_words(term.text))}" for key in field.keys]
        prefixes += [
            f"{key}:{token}" for key in field.keys for token, _ in person_tokens(term.text, full=False, quoted=False)
        ]
        tokens = []
    return AnyOf(tuple(dict.fromkeys(tokens)), tuple(dict.fromkeys(prefixes)), exact=True)


def authors_query(names: Iterable[str]) -> TokenQuery:
    """Return a query for the articles of any of some authors: family name and as many initials as are known."""
    return disjunction([_person(Term(name, "au"), FIELDS["au"]) for name in names])


def person_tokens(text: str, *, full: bool, quoted: bool) -> Iterator[tuple[str, bool]]:
    """Yield how a name may be stored, each with whether it need only begin so.

    A name is `last initials suffix`, or with `full` a whole name in either order; where the last name ends is not
    known unless a comma tells. PubMed truncates a name that is not in quotation marks.
    """
    words = folded_words(text)
    before = len(folded_words(text.partition(",")[0])) if "," in text else 0
    for end in [before] if before else range(1, len(words) + 1):
        last, rest = "_".join(words[:end]), words[end:]
        if not rest:
            yield f"{last}/", True
        elif full:
            yield f"{last}/{'_'.join(rest)}", not quoted
        else:
            yield from _short_forms(last, rest, quoted=quoted)
    if full and not before:
        for end in range(1, len(words)):
            yield f"{'_'.join(words[end:])}/{'_'.join(words[:end])}", not quoted


def _short_forms(last: str, rest: list[str], *, quoted: bool) -> Iterator[tuple[str, bool]]:
    *names, suffix = rest
    ending = f"/{suffix}" if names and suffix in _SUFFIXES else ""
    given = names if ending else rest
    if all(len(part) == 1 for part in given) or (len(given) == 1 and len(given[0]) <= _MOST_INITIALS):
        initials = "".join(given)[:2]
        yield f"{last}/{initials}{ending}", not quoted and not ending
        if not quoted and not ending and suffix in _SUFFIXES:
            yield f"{last}//{suffix}", False


# Dates ---------------------------------------------------------------------------------------------------------------


def date_query(dates: DateRange) -> AnyOf:
    """Return a query for the days of a range, each year, month or day that lies in it whole as one prefix."""
    keys = FIELDS[dates.field].keys
    # A single date does not count an electronic one after that of the issue, as PubMed says.
    return AnyOf(
        prefixes=tuple(f"{key}:{days}" for key in (keys[:1] if dates.single else keys) for days in _days(dates)),
        exact=True,
    )


def _days(dates: DateRange) -> Iterator[str]:
    first, last = f"{dates.first:08d}", f"{dates.last:08d}"
    yield from _between(first, last, "")


def _between(first: str, last: str, prefix: str) -> Iterator[str]:
    """Yield the shortest prefixes of the numbers from first to last, which are of one length."""
    if not first:
        yield prefix
        return
    if set(first) == {"0"} and set(last) == {"9"}:
        yield prefix
        return
    lower, upper = int(first[0]), int(last[0])
    for digit in range(lower, upper + 1):
        low = first[1:] if digit == lower else "0" * (len(first) - 1)
        high = last[1:] if digit == upper else "9" * (len(last) - 1)
        yield from _between(low, high, f"{prefix}{digit}")
