"""Duplicates among the references of several databases, and preprints with what was published of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from search.formats.base import Rejection
from search.formats.byte_stream import ByteStream
from search.formats.reference_lists import Reference, read_references
from search.retrieval.duplicates import family_key, title_key
from search.review.alike import REASONS, are_versions, differ, is_same

__all__ = ["Deduplication", "Duplicate", "dedupe", "dedupe_files"]

#: References with a key in common that are compared with each other; a key that more have tells nothing.
_MOST_OF_A_KEY = 400


class Duplicate(msgspec.Struct, frozen=True):
    """A reference that is left out: where it stands, where the one that is kept stands, and why they are one."""

    where: str
    kept: str
    reason: str
    title: str


class Deduplication(msgspec.Struct, frozen=True, kw_only=True):
    """What came of files of references: how many each held and lost, what is kept, and what was left out and why.

    `versions` are preprints and what was published of them; both are kept.
    """

    identified: dict[str, int]
    removed: dict[str, int]
    kept: list[Reference]
    duplicates: list[Duplicate]
    versions: list[Duplicate]
    rejections: list[Rejection] = []

    @property
    def counts(self) -> dict[str, int]:
        """The numbers of PRISMA's flow diagram: records identified, duplicates removed, records to screen."""
        return {
            "records identified": sum(self.identified.values()),
            "duplicates removed": len(self.duplicates),
            "records to screen": len(self.kept),
        }


def dedupe_files(sources: Sequence[str | Path | ByteStream], *, own: Sequence[Reference] = ()) -> Deduplication:
    """Return the references of files or streams without duplicates, those of the first before those of the next.

    `own` are references that are there already: what is one of them is left out, and they are not counted. Raises
    SourceError if a file cannot be read to its end or holds no references.
    """
    references: list[Reference] = list(own)
    rejections: list[Rejection] = []
    identified: dict[str, int] = {}
    source_of: dict[str, str] = {}
    for source in sources:
        stream = ByteStream.of(source)
        count = 0
        for entry in read_references(stream):
            if isinstance(entry, Rejection):
                rejections.append(entry)
                continue
            references.append(entry)
            source_of[entry.where] = stream.name
            count += 1
        identified[stream.name] = count
    kept, duplicates, versions = dedupe(references, len(own))
    removed = Counter(source_of[entry.where] for entry in duplicates)
    return Deduplication(
        identified=identified,
        removed={name: removed[name] for name in identified},
        kept=[reference for reference in kept if reference.where in source_of],
        duplicates=[entry for entry in duplicates if entry.where in source_of],
        versions=versions,
        rejections=rejections,
    )


def dedupe(references: Sequence[Reference], first: int = 0) -> tuple[list[Reference], list[Duplicate], list[Duplicate]]:
    """Return the references that are kept, in their order, those that are duplicates, and versions of one work.

    Of duplicates one of the `first` references is kept, or else one with a PMID, or else that which comes first.
    """
    groups = _Groups(references)
    for reason, pairs in _alike(references).items():
        if reason == "same title":
            # What fits several that are not one with each other is none of them for certain.
            pairs = _certain(groups, pairs)
        for one, other in pairs:
            groups.join(one, other, reason)
    kept, duplicates, gone = [], [], set[int]()
    for group in groups.members.values():
        best = min(group, key=lambda number: (number >= first, references[number].pmid is None, number))
        for number in group:
            if number != best:
                duplicates.append(_duplicate(references[number], references[best], groups.reasons[number]))
                gone.add(number)
    kept = [reference for number, reference in enumerate(references) if number not in gone]
    order = {reference.where: number for number, reference in enumerate(references)}
    return kept, sorted(duplicates, key=lambda entry: order[entry.where]), _versions(kept)


def _alike(references: Sequence[Reference]) -> dict[str, list[tuple[int, int]]]:
    """Return the pairs that are one work by each reason, the surest reason first."""
    pairs: dict[str, list[tuple[int, int]]] = {reason: [] for reason in REASONS}
    for one, other in _pairs(references):
        reason = is_same(references[one], references[other])
        if reason is not None:
            pairs[reason].append((one, other))
    return pairs


class _Groups:
    """References in groups, each of one work; two groups join only if nothing sets any of one apart from any other."""

    def __init__(self, references: Sequence[Reference]) -> None:
        self._references = references
        self.group_of = list(range(len(references)))
        self.members = {number: [number] for number in self.group_of}
        #: Why each joined the group it is in, the surest reason that there is.
        self.reasons: dict[int, str] = {}

    def join(self, one: int, other: int, reason: str) -> None:
        """Make one group of those of two references, unless something sets them apart."""
        first, second = self.group_of[one], self.group_of[other]
        if (
            first == second
            or (len(self.members[first]) > 1 or len(self.members[second]) > 1)
            and self.apart(first, second)
        ):
            return
        self.reasons.setdefault(one, reason)
        self.reasons.setdefault(other, reason)
        for number in self.members.pop(second):
            self.group_of[number] = first
            self.members[first].append(number)

    def apart(self, first: int, second: int) -> bool:
        """Whether anything sets a member of one group apart from one of another."""
        return any(
            differ(self._references[one], self._references[other])
            for one in self.members[first]
            for other in self.members[second]
        )


def _certain(groups: _Groups, pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the pairs of which neither fits another group as well that is not the same work."""
    fitting: dict[int, set[int]] = defaultdict(set)
    for one, other in pairs:
        first, second = groups.group_of[one], groups.group_of[other]
        fitting[first].add(second)
        fitting[second].add(first)
    unsure = {
        group
        for group, others in fitting.items()
        if any(groups.apart(one, other) for one in others for other in others if one < other)
    }
    return [pair for pair in pairs if not unsure & {groups.group_of[number] for number in pair}]


def _duplicate(reference: Reference, kept: Reference, reason: str) -> Duplicate:
    return Duplicate(reference.where, kept.where, reason, str(reference))


def _versions(references: Sequence[Reference]) -> list[Duplicate]:
    """Return the preprints among references with what was published of them."""
    numbers = [number for number, entry in enumerate(references) if entry.is_preprint or entry.versions]
    if not numbers:
        return []
    by_pmid = {entry.pmid: number for number, entry in enumerate(references) if entry.pmid}
    found: dict[tuple[int, int], str] = {}
    wanted = set(numbers)
    for number in numbers:
        for pmid in references[number].versions:
            if pmid in by_pmid:
                found[_apart(references, number, by_pmid[pmid])] = "linked by NLM"
    for one, other in _pairs(references):
        if one in wanted or other in wanted:
            pair = _apart(references, one, other)
            reason = None if pair in found else are_versions(references[one], references[other])
            if reason is not None:
                found[pair] = reason
    return [_duplicate(references[one], references[other], reason) for (one, other), reason in sorted(found.items())]


def _apart(references: Sequence[Reference], one: int, other: int) -> tuple[int, int]:
    """Return the preprint and then what was published."""
    return (one, other) if references[one].is_preprint or not references[other].is_preprint else (other, one)


def _pairs(references: Sequence[Reference]) -> Iterator[tuple[int, int]]:
    """Yield the pairs of references that may be one work: those with any key in common, each pair once."""
    by_key: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for number, reference in enumerate(references):
        for key in set(_keys(reference)):
            by_key[key].append(number)
    seen: set[tuple[int, int]] = set()
    # What identifiers say comes first: it decides how groups grow.
    for key in sorted(by_key, key=lambda key: (key[0] != "id", str(key))):
        numbers = by_key[key]
        if len(numbers) > _MOST_OF_A_KEY:
            continue
        for place, one in enumerate(numbers):
            for other in numbers[place + 1 :]:
                if (one, other) not in seen:
                    seen.add((one, other))
                    yield one, other


def _keys(reference: Reference) -> Iterator[tuple[object, ...]]:
    for identifier in (reference.pmid, reference.doi, reference.pmcid):
        if identifier:
            yield "id", identifier
    title = title_key(reference.title).replace(" ", "")
    if len(title) > 10:
        yield "begins", title[:16]
        yield "ends", title[-16:]
    family = family_key(reference.family_name)
    if family and reference.year:
        for year in (reference.year, reference.year + 1):
            yield "author", family[:6], year
    page = reference.pages.partition("-")[0].strip().lower()
    if reference.volume and page:
        yield "place", reference.volume, page, reference.year
