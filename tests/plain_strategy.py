"""A strategy read off each record by itself, slowly and plainly: what `search.retrieval.strategy` must agree with.

It shares with the program only the tree that the parser makes; folding, fields and matching are written again here,
from PubMed's help.
"""

import re
import unicodedata
from functools import lru_cache
from itertools import groupby

from search.retrieval.strategy.strategy_tree import Combined, DateRange, LineReference

_SMALL = {"æ": "ae", "œ": "oe", "ð": "d", "þ": "th", "ı": "i", "ß": "ss", "­": ""}


def fold(text):
    """The words of a text: small letters without accents, Greek letters by name."""
    plain = ""
    for character in unicodedata.normalize("NFKD", text.lower().replace("™", " ").replace("®", " ").replace("©", " ")):
        name = unicodedata.name(character, "")
        if unicodedata.combining(character):
            continue
        if character in _SMALL:
            plain += _SMALL[character]
        elif name.startswith("GREEK SMALL LETTER"):
            plain += name.split()[-1].lower().replace("lamda", "lambda")
        elif name.endswith("WITH STROKE") and name.startswith("LATIN SMALL LETTER"):
            plain += name.split()[3].lower()
        else:
            plain += character.casefold()
    return ["".join(run) for is_word, run in groupby(plain, key=str.isalnum) if is_word]


def texts(article, tag):
    """The texts that a field of words looks at."""
    book = article.book
    people = [*article.authors, *article.investigators, *(book.editors if book else ())]
    title = [article.title, *([book.collection] if book and book.collection else [])]
    abstracts = ["\n".join(f"{part.label or ''} {part.text}" for part in article.abstract)]
    abstracts += [
        " ".join(f"{part.label or ''} {part.text}" for part in other.sections) for other in article.other_abstracts
    ]
    keywords = [keyword.text for keyword in article.keywords]
    groups = [person.collective_name for person in people if person.collective_name]
    subjects = [heading.descriptor for heading in article.mesh_headings]
    subjects += [part.name for heading in article.mesh_headings for part in heading.qualifiers]
    subjects += [part.name for part in (*article.publication_types, *article.substances)]
    subjects += [part.name for part in article.supplementary_concepts]
    subjects += [f"{entry.databank} {entry.number}" for entry in article.accession_numbers]
    subjects += [f"{note.citation or ''} {note.note or ''}" for note in article.corrections]
    subjects += [whole(person) for person in article.personal_name_subjects] + list(article.space_flight_missions)
    grants = [
        part or "" for grant in article.grants for part in (grant.number, grant.acronym, grant.agency, grant.country)
    ]
    places = [place for person in people for place in person.affiliations]
    fields = {
        "ti": title,
        "ab": abstracts,
        "tiab": title + abstracts + keywords,
        "ot": keywords,
        "cn": groups,
        "ad": places,
        "gr": grants,
        "tt": [article.vernacular_title or ""],
        "cois": [article.coi_statement or ""],
        "tw": title + abstracts + keywords + groups + subjects,
        "pubn": [book.publisher or ""] if book else [],
        "book": [book.title] if book else [],
    }
    if tag != "all":
        return fields[tag]
    journal = article.journal
    names = [*map(whole, people), *article.gene_symbols]
    rest = [
        journal.title, journal.iso_abbreviation, journal.medline_abbreviation, journal.issn, journal.issn_linking,
        journal.nlm_id, article.volume, article.issue, first_page(article), article.doi, article.pmcid,
        article.article_number,
        *article.languages, *(entry.value for entry in article.other_ids),
        *(substance.registry_number for substance in article.substances), str(article.pmid),
        str(article.publication_date.year or ""),
    ]  # fmt: skip
    everywhere = (places, grants, fields["tt"], fields["cois"], names, [text or "" for text in rest])
    return fields["tw"] + [text for part in everywhere for text in part]


def whole(person):
    return f"{person.last_name or ''} {person.fore_name or ''} {person.initials or ''} {person.suffix or ''}"


def first_page(article):
    return re.split(r"[-–,;\s]", (article.pages or "").strip())[0]


def holds(node, article, lines, below):
    """Whether a record is among what a tree selects."""
    if isinstance(node, LineReference):
        return holds(lines[node.number], article, lines, below)
    if isinstance(node, Combined):
        found = (holds(part, article, lines, below) for part in node.operands)
        if node.operator == "AND":
            return all(found)
        if node.operator == "OR":
            return any(found)
        return next(found) and not any(found)
    if isinstance(node, DateRange):
        return any(node.first <= day <= node.last for day in days(article, node.field, single=node.single))
    if node.field in ("ti", "ab", "tiab", "ot", "cn", "ad", "gr", "tt", "cois", "tw", "pubn", "book", "all"):
        return has_words(node, article)
    if node.field in ("au", "1au", "lastau", "fau", "ir", "fir", "ed", "ps"):
        return has_person(node, article)
    return has_value(node, article, below)


def has_words(term, article):
    if term.distance is not None:
        return any(near(fold(term.text), fold(text), term.distance) for text in texts(article, term.field))
    phrases = [fold(term.text)]
    if term.field == "all" and not term.quoted:
        phrases = [phrase for phrase in map(fold, term.text.split()) if phrase]
        telling = [phrase for phrase in phrases if phrase not in [[word] for word in ("the", "of", "and", "in")]]
        phrases = telling or phrases
    values = [spaced(text) for text in texts(article, term.field)]
    return all(
        any(
            f" {' '.join(phrase)}{'' if term.truncated and number == len(phrases) else ' '}" in value
            for value in values
        )
        for number, phrase in enumerate(phrases, start=1)
    )


@lru_cache(200_000)
def spaced(text):
    """The words of a text with a space around each."""
    return f" {' '.join(fold(text))} "


def near(words, value, distance):
    places = [[place for place, word in enumerate(value) if word == wanted] for wanted in words]

    def chain(left, last):
        return not left or any(
            chain([other for index, other in enumerate(left) if index != at], place)
            for at, some in enumerate(left)
            for place in some
            if last is None or 0 < place - last <= distance + 1
        )

    return chain(places, None)


def has_person(term, article):
    persons = [author for author in article.authors if not author.collective_name]
    persons = {
        "1au": persons[:1],
        "lastau": persons[-1:],
        "ir": article.investigators,
        "fir": article.investigators,
        "ed": article.book.editors if article.book else (),
        "ps": article.personal_name_subjects,
    }.get(term.field, persons)
    return any(is_person(term, person) for person in persons)


def is_person(term, person):
    """Whether a name that was typed is a person's, by initials or in full, in either order."""
    words = fold(term.text)
    last = fold(person.last_name or person.fore_name or "")
    if term.truncated:
        return "_".join([*last, ""]).startswith("_".join(words))
    if words == last:
        return True
    before_comma = fold(term.text.split(",")[0]) if "," in term.text else last
    if last and words[: len(last)] == last == before_comma:
        rest = words[len(last) :]
        if term.field not in ("fau", "fir") and has_initials(rest, person, quoted=term.quoted):
            return True
        if in_full(rest, person, term):
            return True
    natural = last and "," not in term.text and words[-len(last) :] == last
    return bool(natural) and in_full(words[: -len(last)], person, term)


def has_initials(typed, person, *, quoted):
    """Whether what follows a last name is a person's initials and suffix, as PubMed truncates them."""
    initials, suffix = "".join(fold(person.initials or ""))[:2], fold(person.suffix or "")
    given, ending = (typed[:-1], typed[-1:]) if len(typed) > 1 and typed[-1] in ("jr", "sr", "ii") else (typed, [])
    if any(len(part) > 1 for part in given) and (len(given) > 1 or len(given[0]) > 3):
        return False
    letters = "".join(given)[:2]
    if ending:
        return letters == initials and suffix == ending
    if quoted:
        return letters == initials and not suffix
    return initials.startswith(letters) or (typed == suffix and not initials)


def in_full(typed, person, term):
    """Whether names that were typed begin a person's fore names, or are them."""
    if term.field not in ("au", "fau", "ir", "fir") or not person.last_name or not person.fore_name or not typed:
        return False
    names = "_".join(fold(person.fore_name))
    return names == "_".join(typed) if term.quoted else names.startswith("_".join(typed))


def has_value(term, article, below):
    wanted = fold(term.text)
    if term.field == "pmid":
        return article.pmid == int(term.text)
    if term.field in ("mh", "majr"):
        return has_heading(term, article, below)
    if term.field == "sb":
        return in_subset(term.text.lower(), article)
    journal = article.journal
    values = {
        "sh": [part.name for heading in article.mesh_headings for part in heading.qualifiers],
        "pt": [kind.name for kind in article.publication_types],
        "nm": [part.name for part in (*article.substances, *article.supplementary_concepts)],
        "la": article.languages,
        "ta": [journal.title, journal.iso_abbreviation, journal.medline_abbreviation, journal.issn],
        "si": [f"{entry.databank} {entry.number}" for entry in article.accession_numbers]
        + [part for entry in article.accession_numbers for part in (entry.databank, entry.number)],
        "is": [journal.issn, journal.issn_linking],
        "vi": [article.volume],
        "ip": [article.issue],
        "pg": [first_page(article)],
        "doi": [article.doi],
        "aid": [article.doi, article.article_number, *(entry.value for entry in article.other_ids)],
    }[term.field]
    values = [fold(value or "") for value in values]
    if term.field == "ta":
        values, wanted = [value[value[:1] == ["the"] :] for value in values], wanted[wanted[:1] == ["the"] :]
    if term.field == "la":
        wanted = {"english": ["eng"], "french": ["fre"]}.get(term.text.lower(), wanted)
    if term.truncated:
        return any("_".join(value).startswith("_".join(wanted)) for value in values)
    narrower = {"therapy": ["drug therapy", "surgery"], "review": ["systematic review"]}
    names = [wanted]
    if term.field in ("sh", "pt") and term.explode:
        names += map(fold, narrower.get(term.text.lower(), []))
    if term.field == "pt" and term.explode:
        names += map(fold, below(term.text))
    return any(value in names for value in values if value)


def has_heading(term, article, below):
    text, _, under = term.text.partition("/")
    names = [fold(text), *(map(fold, below(text)) if term.explode else ())]
    under = fold({"dt": "drug therapy"}.get(under.lower(), under))
    unders = [under, *([["drug", "therapy"], ["surgery"]] if under == ["therapy"] and term.explode else [])]
    for heading in article.mesh_headings:
        name = fold(heading.descriptor)
        if term.truncated:
            if "_".join(name).startswith("_".join(fold(text))) and (heading.is_major or term.field == "mh"):
                return True
        elif name in names:
            if not under and (heading.is_major or term.field == "mh"):
                return True
            for part in heading.qualifiers:
                major = part.major or heading.major or term.field == "mh"
                if under and fold(part.name) in unders and major:
                    return True
    return False


def in_subset(name, article):
    if name.startswith("has") and name.endswith(("in", "for")):
        return any(f"has{note.kind.lower()}" == name for note in article.corrections)
    return {
        "all": True,
        "hasabstract": any(part.text.strip() for part in article.abstract),
        "haskeyword": bool(article.keywords),
        "medline": article.status == "MEDLINE",
        "free full text": bool(article.pmcid),
    }[name]


def days(article, field, *, single):
    """The days of a record that a date field looks at, as PubMed fills in what is missing."""

    def number(day):
        return day.year * 10_000 + day.month * 100 + day.day if day else None

    def partial(day):
        if day is None or (day.year is None and not day.medline_date):
            return None
        if day.medline_date:
            year, month = re.match(r"(\d{4})(?: (\w{3}))?", day.medline_date).groups()
            names = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
            place = names.index(month.lower()) + 1 if month and month.lower() in names else 1
            return int(year) * 10_000 + place * 100 + 1
        if day.season:
            return day.year * 10_000 + {"Winter": 1, "Spring": 4, "Summer": 7, "Fall": 10}[day.season] * 100 + 1
        return day.year * 10_000 + (day.month or 1) * 100 + (day.day or 1)

    printed, electronic = partial(article.publication_date), partial(article.electronic_date)
    found = {
        "ppdat": [printed],
        "epdat": [electronic],
        "crdt": [number(article.created)],
        "dcom": [number(article.completed)],
        "lr": [number(article.revised)],
        "edat": [number(step.day) for step in article.history if step.status == "pubmed"],
        "mhda": [number(step.day) for step in article.history if step.status == "medline"],
    }.get(field)
    if found is None:
        found = [printed, electronic]
        if single and printed and electronic and electronic > printed:
            found = [printed]
    return [day for day in found if day]
