"""Every record of every real file of NLM XML, held against a plain reading and against pubmed_parser."""

import gzip
import json
import random
import re
from pathlib import Path

import pubmed_parser
import pytest
from plain_reading import records_of, without_empty

from search.article import Article, Deletion, to_json
from search.errors import SourceError
from search.formats.open import open_source


@pytest.fixture(scope="module")
def paths(shared_data):
    found = sorted(path for path in (shared_data / "pubmed_xml").glob("*/*") if ".xml" in path.name)
    assert len(found) == 20
    return found


def as_plain(article):
    return without_empty({"version": article.version, **json.loads(to_json(article)), "authors_complete": False})


def test_every_field_of_every_record_is_what_a_plain_reading_gives(paths):
    count = 0
    for path in paths:
        read = list(open_source(path))
        expected = list(records_of(path))
        assert len(read) == len(expected), path
        for record, (kind, plain) in zip(read, expected, strict=True):
            if kind == "deletion":
                assert record == Deletion(*plain)
            else:
                assert isinstance(record, Article), record
                assert as_plain(record) == without_empty(plain), f"{path} {record.pmid}"
                assert record.authors_complete is (plain["authors_complete"] is None)
                count += 1
    assert count == 1022


def test_pubmed_parser_agrees_where_it_is_right(paths, tmp_path):
    """Where it is not is listed by field, with the PMIDs; nothing else differs in any record."""
    packed, articles = tmp_path / "all.xml.gz", []
    records = []
    for path in paths:
        data = path.read_bytes()
        data = gzip.decompress(data) if path.name.endswith(".gz") else data
        # It reads PubmedArticle only.
        records += re.findall(rb"<PubmedArticle>.*?</PubmedArticle>", data, re.DOTALL) or [
            b"<PubmedArticle>%b</PubmedArticle>" % found
            for found in re.findall(rb"<MedlineCitation .*?</MedlineCitation>", data, re.DOTALL)
        ]
        articles += [record for record in open_source(path) if isinstance(record, Article)]
    packed.write_bytes(gzip.compress(b"<PubmedArticleSet>%b</PubmedArticleSet>" % b"\n".join(records), 1))
    theirs = pubmed_parser.parse_medline_xml(str(packed), author_list=True, parse_downto_mesh_subterms=True)
    differing = {name: set() for name in FIELDS}
    for article, their in zip(articles, theirs, strict=True):
        for name, ours in FIELDS.items():
            if not agrees(name, ours(article), their[name]):
                differing[name].add(article.pmid)
    assert differing == {name: KNOWN_DIFFERENCES.get(name, set()) for name in FIELDS}


def agrees(name, ours, theirs):
    if name == "doi":
        # Theirs is that of the last ELocationID only, so often none, and never from an ArticleIdList beside one.
        return theirs in ("", ours)
    if name == "pmc":
        # Theirs comes from OtherID, which NLM stopped writing, with a version or the day of its release.
        return theirs == "" or re.split("[ .]", theirs)[0] == ours
    if name == "authors":
        keys = ("lastname", "forename", "initials", "affiliation")
        return ours == [tuple(even(author[key]) for key in keys) for author in theirs]
    if name == "grant_ids":
        keys = ("grant_id", "grant_acronym", "country", "agency")
        return ours == [tuple(even(grant[key]) for key in keys) for grant in theirs]
    return even(ours) == even(theirs)


def even(text):
    return " ".join((text or "").split())


def terms(parts):
    return "; ".join(f"{part.ui or ''}:{part.name}" for part in parts)


def mesh(heading):
    qualifiers = (f" / {part.ui or ''}:{part.name}" + "*" * part.major for part in heading.qualifiers)
    return f"{heading.ui or ''}:{heading.descriptor}" + "".join(qualifiers)


def section(part):
    return f"{part.label if part.label not in (None, 'UNASSIGNED') else ''} {part.text}"


FIELDS = {
    "pmid": lambda article: str(article.pmid),
    "title": lambda article: article.title,
    "vernacular_title": lambda article: article.vernacular_title,
    "abstract": lambda article: (
        article.abstract_text if len(article.abstract) < 2 else " ".join(map(section, article.abstract))
    ),
    "journal": lambda article: article.journal.title,
    "medline_ta": lambda article: article.journal.medline_abbreviation,
    "nlm_unique_id": lambda article: article.journal.nlm_id,
    "issn_linking": lambda article: article.journal.issn_linking,
    "country": lambda article: article.journal.country,
    "pages": lambda article: article.pages,
    "issue": lambda article: f"{article.volume}({article.issue or ''})" if article.volume else "",
    "pubdate": lambda article: str(article.publication_date.year),
    "languages": lambda article: ";".join(article.languages),
    "doi": lambda article: article.doi,
    "pmc": lambda article: article.pmcid,
    "keywords": lambda article: "; ".join(keyword.text for keyword in article.keywords),
    "publication_types": lambda article: terms(article.publication_types),
    "chemical_list": lambda article: terms(article.substances),
    "mesh_terms": lambda article: "; ".join(map(mesh, article.mesh_headings)),
    "authors": lambda article: [
        (a.last_name or "", a.fore_name or "", a.initials or "", a.affiliations[0] if a.affiliations else "")
        for a in article.authors
    ],
    "grant_ids": lambda article: [
        (grant.number or "", grant.acronym or "", grant.country or "", grant.agency or "") for grant in article.grants
    ],
}

KNOWN_DIFFERENCES = {
    # No title but a vernacular one, which is then ours.
    "title": {23203860, 23203861, 23203892, 23203893, 23203894, 23203895, 23203896},
    # Theirs loses formulas, markup within markup, and that a number is raised.
    "abstract": {27687974, 29736257, 29963580, 30108519, 30712376, 31479902},
    # Theirs leaves letters and accents apart.
    "journal": {26524568, 26643801, 26702402},
    # Theirs loses what follows a formula; keeps a space before the separator.
    "keywords": {30712376, 31388320, 31388321, 31388322, 31388324, 31388327, 31388329, 31418850},
    # Theirs gives wrong spellings beside the right ones (ValidYN="N"), and loses the affiliation of 2014 and before.
    "authors": {9634358, 15030341, 17712873, 17713168},
}


def test_a_large_file_is_read_in_little_memory(paths, tmp_path):
    (path,) = (path for path in paths if path.name == "medline16n0902.xml.gz")
    packed = tmp_path / "large.xml.gz"
    with packed.open("wb") as file:
        file.write(gzip.compress(b"<MedlineCitationSet>"))
        data = gzip.decompress(path.read_bytes())
        records = gzip.compress(data[data.index(b"<MedlineCitation ") : data.rindex(b"<DeleteCitation")], 1)
        for _ in range(12):
            file.write(records)
        file.write(gzip.compress(b"</MedlineCitationSet>"))
    count, memory = 0, []
    for _ in open_source(packed):
        count += 1
        if count % 604 == 0:
            memory.append(int(Path("/proc/self/statm").read_text().split()[1]) * 4096)
    assert count == 12 * 604
    assert max(memory[4:]) - memory[3] < 20 * 1024 * 1024


def test_a_file_cut_anywhere_gives_what_was_whole(paths, tmp_path):
    (path,) = (path for path in paths if path.name == "pubmed21n0001.xml.gz")
    whole = list(open_source(path))
    data = gzip.decompress(path.read_bytes())
    cut = tmp_path / "pubmed21n0001.xml"
    for place in random.Random(0).sample(range(2_000, len(data) - 30), 25):
        cut.write_bytes(data[:place])
        read = []
        with pytest.raises(SourceError, match=rf"{cut}: .*cut off"):
            for record in open_source(cut):
                read.append(record)
        assert read == whole[: data.count(b"</PubmedArticle>", 0, place)]


def test_a_file_damaged_anywhere_gives_what_it_held_or_an_error_that_names_it(paths, tmp_path):
    """A byte changed at random must never give another record, end the reading silently, or raise anything else."""
    (path,) = (path for path in paths if path.name == "pubmed21n0001.xml.gz")
    whole = list(open_source(path))
    data = gzip.decompress(path.read_bytes())
    damaged = tmp_path / "pubmed21n0001.xml"
    places = random.Random(1)
    for _ in range(60):
        place, byte = places.randrange(300, len(data)), places.choice(b"<>&/\"' \x00\xffaZ0")
        damaged.write_bytes(data[:place] + bytes([byte]) + data[place + 1 :])
        read, problem = [], None
        try:
            for record in open_source(damaged):
                read.append(record)
        except SourceError as error:
            problem = error
        assert (str(damaged) in str(problem)) if problem else len(read) == len(whole)
        assert sum(new != old for new, old in zip(read, whole, strict=False)) <= 1
