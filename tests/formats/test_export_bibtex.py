"""BibTeX read back with bibtexparser, LaTeX decoded."""

import re

import bibtexparser
import pytest
from bibtexparser.middlewares import LatexDecodingMiddleware, SeparateCoAuthors, SplitNameParts
from export_articles import ALL, BOOK, CHAPTER, SAMPLE, TRICKY, UNBALANCED, articles, authors
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pylatexenc.latex2text import LatexNodes2Text

from search.article import Article, Author, Journal, PartialDate
from search.formats import export
from search.formats.bibtex import citation_key, escape, render
from search.formats.citation_fields import given_name
from search.normalize import clean


def read(text, *, names=False):
    """Return the entries; `names` gives authors as parts instead of the decoded line."""
    middleware = [SeparateCoAuthors(), SplitNameParts()] if names else [LatexDecodingMiddleware()]
    library = bibtexparser.parse_string(text, append_middleware=middleware)
    assert not library.failed_blocks and not library.comments
    return library.entries


def fields(article):
    (entry,) = read(render(article))
    # The decoder gives \textasciicircum as a modifier letter; LaTeX prints the sign itself.
    return {key: field.value.replace("\u02c6", "^") for key, field in entry.fields_dict.items()}


def test_a_tricky_article_comes_back_whole():
    found = fields(TRICKY)
    assert found["title"] == TRICKY.title[:-1]
    assert found["origtitle"] == TRICKY.vernacular_title
    assert found["journal"] == TRICKY.journal.title and found["shortjournal"] == "J Odd Ends"
    assert (found["pages"], found["medlinepagination"]) == ("S123–S129", "S123-9")
    assert (found["year"], found["month"], found["day"]) == ("2004", "mar", "17")
    assert (found["volume"], found["number"], found["issn"]) == ("12 Suppl 1", "3 Pt 2", "1234-5678, 8765-4321")
    assert (found["pmid"], found["pmcid"], found["language"]) == ("12345678", "PMC1234567", "eng, ger")
    assert found["abstract"] == clean(TRICKY.labelled_abstract) and "BACKGROUND: We asked" in found["abstract"]
    assert found["note"].startswith("RETRACTED: J Odd Ends. 2005;14:2 PMID 222 ERRATUM:")
    (entry,) = read(render(TRICKY), names=True)
    assert entry["doi"] == TRICKY.doi
    assert (
        entry["keywords"] == "{*Databases, Protein}, Asthma/*drug therapy/genetics, *β-blocker, {cost, effectiveness}"
    )
    assert "pages = {S123--S129}" in render(TRICKY) and "month = mar," in render(TRICKY)


def test_names_are_read_as_they_should_be():
    (entry,) = read(render(TRICKY), names=True)
    parts = [tuple(" ".join(part) for part in (name.von, name.last, name.jr, name.first)) for name in entry["author"]]
    assert parts == [
        ("van der", "Berg", "Jr", "Jan Peter"),
        ("", "O'Brien-Núñez", "", "Íñigo"),
        ("", "{Silva e Costa}", "", "Maria"),
        ("", "{Smith and Wesson}", "", "Ann"),
        ("'t", "Hooft", "", "G"),
        ("", "King", "3rd", "M L"),
        ("", "王", "", "小明"),
        ("", "Anderson", "", "{Others And}"),
        ("", r"{World Health Organization and the \{COVID\}, 50\% Group}", "", ""),
        ("", "Aristotle", "", ""),
        ("", "others", "", ""),
    ]


def test_a_chapter_and_a_book():
    (entry,) = read(render(CHAPTER), names=True)
    assert entry.entry_type == "incollection" and entry.key == "delacruz1993pmid20301295"
    assert (entry["booktitle"], entry["publisher"], entry["address"]) == (
        "GeneReviews®",
        "University of Washington",
        "Seattle (WA)",
    )
    assert [" ".join(name.last) for name in entry["editor"]] == ["Adam", "{Editorial Board}"]
    assert entry["isbn"] == "9780000000002, 9780000000019" and entry["series"] == "NCBI Bookshelf"
    (entry,) = read(render(BOOK))
    assert (entry.entry_type, entry["title"]) == ("book", "Whole Book") and "booktitle" not in entry.fields_dict


def test_unpaired_braces_cannot_break_the_file():
    assert fields(UNBALANCED)["title"] == UNBALANCED.title
    # BibTeX itself counts every brace, escaped or not.
    shown = render(UNBALANCED)
    assert shown.count("{") == shown.count("}")


def test_a_file_of_several_has_unique_keys(tmp_path):
    path = tmp_path / "out.bib"
    with path.open("w", encoding="utf-8") as stream:
        export.write(ALL, stream, "bibtex")
    assert [entry.key for entry in read(path.read_text(encoding="utf-8"))] == [citation_key(article) for article in ALL]
    assert len({citation_key(article) for article in ALL}) == len(ALL)


@pytest.mark.parametrize(
    ("author", "year", "key"),
    [
        (Author("Smith", "J"), 2004, "smith2004pmid5"),
        (Author("van der Berg", "J"), 2004, "vanderberg2004pmid5"),
        (Author("Müller-Lüdenscheidt", "J"), None, "mullerludenscheidtnodatepmid5"),
        (Author(collective_name="WHO {Group}"), 1999, "whogroup1999pmid5"),
        (Author("王"), 1999, "anonymous1999pmid5"),
    ],
)
def test_keys(author, year, key):
    assert citation_key(Article(pmid=5, authors=(author,), publication_date=PartialDate(year))) == key


def test_seasons_and_medline_dates():
    assert "month = {Summer}" in render(Article(pmid=1, publication_date=PartialDate(2004, season="Summer")))
    assert "month = {Oct-Dec}" in render(
        Article(pmid=1, publication_date=PartialDate(2015, medline_date="2015 Oct-Dec"))
    )


def test_a_sample_record_says_so():
    assert fields(SAMPLE)["note"].startswith("NOT A REAL STUDY:")


def test_escapes():
    assert escape("50% & $5 #1 a_b") == r"50\% \& \$5 \#1 a\_b"
    assert escape("{a}") == r"\{a\}" and escape("}{") == r"{\ensuremath{\rbrace}}{\ensuremath{\lbrace}}"
    assert escape("a--b ``c'' ?`") == "a-{}-b `{}`c'{}' ?{}`"


SLOW_STRATEGY = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)


@SLOW_STRATEGY
@example(Article(pmid=1, title="\\{", journal=Journal("}{"), authors_complete=False))
@given(article=articles)
def test_any_text_stays_in_its_field(article):
    decoded = fields(article)
    title = article.title or (article.book.title if article.book is not None else "")
    assert squeezed(decoded.get("title", "")) == squeezed(clean(title))
    assert squeezed(decoded.get("abstract", "")) == squeezed(clean(article.labelled_abstract))
    if article.book is None:
        journal = article.journal.title or article.journal.iso_abbreviation or article.journal.medline_abbreviation
        assert squeezed(decoded.get("journal", "")) == squeezed(clean(journal))
    assert decoded["pmid"] == str(article.pmid)
    shown = render(article)
    assert shown.count("{") == shown.count("}")


@SLOW_STRATEGY
@example(
    [
        Author("and", "others"),
        Author("a, b", "c"),
        Author("{", "\\"),
        Author("Others"),
        Author("x y"),
        Author(None, "z", "z", "Jr"),
    ]
)
@given(st.lists(authors, max_size=4))
def test_any_name_stays_whole(found):
    (entry,) = read(render(Article(pmid=1, authors=tuple(found))), names=True)
    decode = LatexNodes2Text(math_mode="verbatim").latex_to_text
    value = entry.fields_dict["author"].value if "author" in entry.fields_dict else []
    names = [decode(" ".join(name.von + name.last + name.jr + name.first)) for name in value]
    expected = [clean(a.collective_name) or " ".join(map(clean, (a.last_name, a.suffix, given_name(a)))) for a in found]
    # By their letters, for a suffix stands before the given names in BibTeX and behind them elsewhere.
    assert [sorted(squeezed(name)) for name in names] == [sorted(squeezed(name)) for name in expected if name.strip()]


def squeezed(text):
    """Return the text without spaces and carets: the decoder eats and swaps some of those."""
    return re.sub(r"[\s^\u02c6]", "", text)
