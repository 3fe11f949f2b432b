"""References as other databases have them: records of PubMed's, damaged as usual, by code and by chance."""

import random
import re
import unicodedata

import msgspec

__all__ = ["DAMAGES", "damaged", "near_misses"]


def _without_accents(text):
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


def _typo(text, chance):
    places = [place for place, letter in enumerate(text) if letter.isalpha()]
    if len(places) < 20:
        return text
    place = chance.choice(places[5:])
    return text[:place] + chance.choice("aeinrst") + text[place + 1 :]


def _subtitle_cut(text):
    head, colon, _ = text.partition(": ")
    return head if colon and len(head.split()) >= 5 else text


def _pages(text):
    first, dash, last = text.partition("-")
    if not (dash and first.isdigit() and last.isdigit()):
        return text
    return f"{first}-{first[: len(first) - len(last)]}{last}" if len(last) < len(first) else first


def _initials(names):
    cut = []
    for name in names:
        family, comma, given = name.partition(", ")
        cut.append(f"{family}, {' '.join(f'{part[0]}.' for part in given.split() if part)}" if comma else name)
    return tuple(cut)


#: Each takes the fields of a reference and a source of chance, and returns fields to change.
DAMAGES = {
    "capitals": lambda r, _: {"title": r.title.title()},
    "all capitals": lambda r, _: {"title": r.title.upper()},
    "no full stop": lambda r, _: {"title": r.title.rstrip(".")},
    "brackets": lambda r, _: {"title": f"[{r.title}]"},
    "no accents": lambda r, _: {
        "title": _without_accents(r.title), "authors": tuple(map(_without_accents, r.authors))
    },
    "dashes": lambda r, _: {"title": r.title.replace("-", "\u2010").replace(":", " \u2013")},
    "words joined": lambda r, _: {"title": r.title.replace("-", " ")},
    "typo": lambda r, chance: {"title": _typo(r.title, chance)},
    "subtitle cut": lambda r, _: {"title": _subtitle_cut(r.title)},
    "year of the e-pub": lambda r, _: {"year": r.year - 1 if r.year else None},
    "no year": lambda r, _: {"year": None},
    "initials": lambda r, _: {"authors": _initials(r.authors)},
    "first author only": lambda r, _: {"authors": r.authors[:1]},
    "no authors": lambda r, _: {"authors": ()},
    "pages in full": lambda r, _: {"pages": _pages(r.pages)},
    "no pages": lambda r, _: {"pages": "", "issue": ""},
    "no place": lambda r, _: {"pages": "", "issue": "", "volume": ""},
    "another name of the journal": lambda r, _: {"journal": re.sub(r"\b(\w{4})\w+", r"\1", r.journal)},
    "doi in capitals": lambda r, _: {"doi": r.doi.upper()},
    "no doi": lambda r, _: {"doi": ""},
}  # fmt: skip


def damaged(reference, seed, *, with_pmid=False):
    """A reference to the same work from another database: no PMID, and two or three damages."""
    chance = random.Random(seed)
    changed = reference if with_pmid else msgspec.structs.replace(reference, pmid=None)
    changed = msgspec.structs.replace(changed, where=f"copy of {reference.where}", pmcid="", versions=())
    names = chance.sample(sorted(DAMAGES), chance.choice([2, 3]))
    # A database that has no DOI has at least some of the rest.
    for name in names:
        changed = msgspec.structs.replace(changed, **DAMAGES[name](changed, chance))
    return msgspec.structs.replace(changed, doi=changed.doi.lower()), names


def near_misses(reference, seed):
    """References to other works that look like this one: parts, later years, the same title by others, replies."""
    chance = random.Random(seed)
    bare = msgspec.structs.replace(reference, pmid=None, pmcid="", doi="", abstract="", versions=())
    title, page = bare.title.rstrip("."), 10_000 + 10 * seed
    other = ("Otherwise, Nobody", *bare.authors[1:])
    made = [
        {"title": f"{title}. Part 2", "pages": f"{page + 0}"},
        {"title": f"Reply to: {title}", "pages": f"{page + 1}"},
        {"title": title, "year": (bare.year or 2000) + chance.choice([3, 7]), "volume": "991", "pages": f"{page + 2}"},
        {"title": title, "authors": other, "pages": f"{page + 3}", "volume": "992"},
        {"title": f"Erratum: {title}", "pages": f"{page + 4}"},
        {"title": f"{title} in 1999", "pages": f"{page + 5}", "year": bare.year},
    ]
    return [
        msgspec.structs.replace(bare, where=f"near {number} of {reference.where}", **fields)
        for number, fields in enumerate(made)
    ]
