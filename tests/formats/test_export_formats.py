"""What holds for every format: the door, streaming, control characters, and the marks."""

import csv
import io
import json
import sys
import unicodedata

import pytest
from export_articles import ALL, BOOK, CHAPTER, RETRACTED_BY_TYPE, SAMPLE, TRICKY, articles
from hypothesis import HealthCheck, example, given, settings

from search.article import AbstractSection, Article, Author, Journal, PartialDate, from_json
from search.errors import ExportError
from search.formats import export
from search.formats.styled_citation import _style, render

SLOW_STRATEGY = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)


def test_all_formats_are_there():
    assert list(export.FORMATS) == ["ris", "bibtex", "nbib", "csv", "jsonl", "csl", "citation", "markdown"]


def test_an_unknown_format_names_the_nearest():
    with pytest.raises(ExportError, match="did you mean bibtex"):
        export.render(TRICKY, "bibtx")
    with pytest.raises(ExportError, match="There are ris, bibtex"):
        export.write([], io.StringIO(), "endnote")


@pytest.mark.parametrize("format", export.FORMATS)
def test_writing_streams_and_counts(format):
    stream = io.StringIO()
    sizes = []

    def source():
        for article in ALL:
            sizes.append(len(stream.getvalue()))
            yield article

    assert export.write(source(), stream, format) == len(ALL)
    assert sizes[1:] == sorted(set(sizes[1:])) and sizes[1] > sizes[0]


@pytest.mark.parametrize("format", export.FORMATS)
def test_marks_are_in_every_format(format):
    shown = export.render(TRICKY, format)
    assert "222" in shown and "J Odd Ends. 2005;14:2" in shown
    assert "etracted" in export.render(RETRACTED_BY_TYPE, format) or "RETRACTED" in export.render(
        RETRACTED_BY_TYPE, format
    )
    assert "NOT A REAL STUDY" in export.render(SAMPLE, format)
    plain = Article(pmid=9, title="Plain")
    assert "RETRACTED" not in export.render(plain, format) and "NOT A REAL" not in export.render(plain, format)


@pytest.mark.parametrize("format", ["ris", "bibtex", "csv", "jsonl", "markdown"])
def test_a_retraction_is_said_in_words(format):
    assert "RETRACTED" in export.render(TRICKY, format)
    assert "RETRACTED" in export.render(RETRACTED_BY_TYPE, format)


@pytest.mark.parametrize("format", export.FORMATS)
@SLOW_STRATEGY
@given(article=articles)
def test_no_control_character_comes_out(format, article):
    shown = export.render(article, format)
    assert not [c for c in shown if c != "\n" and unicodedata.category(c) in ("Cc", "Zl", "Zp", "Cs")]
    assert not set(shown) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
    shown.encode()


@pytest.mark.parametrize("format", [format for format in export.FORMATS if format != "citation"])
def test_without_abstracts(format):
    stream = io.StringIO()
    export.write([TRICKY], stream, format, abstracts=False)
    assert "tocopherol" not in stream.getvalue() and "sumé" not in stream.getvalue()
    assert "tocopherol" in export.render(TRICKY, format)


def test_a_stream_that_refuses_is_an_export_error(tmp_path):
    with (tmp_path / "out.ris").open("w", encoding="ascii") as stream, pytest.raises(ExportError, match="ascii.*UTF-8"):
        export.write([TRICKY], stream, "ris")

    class Full(io.StringIO):
        def write(self, text):
            raise OSError(28, "No space left on device")

    with pytest.raises(ExportError, match="No space left"):
        export.write([TRICKY], Full(), "ris")

    class Gone(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        export.write([TRICKY], Gone(), "ris")


@SLOW_STRATEGY
@given(article=articles)
def test_json_lines_lose_nothing(article):
    line = export.render(article, "jsonl")
    assert line.count("\n") == 1 and from_json(line) == article


def _cells(*found):
    stream = io.StringIO()
    export.write(found, stream, "csv")
    return list(csv.DictReader(io.StringIO(stream.getvalue(), newline="")))


def test_csv_says_what_the_article_says():
    (row,) = _cells(TRICKY)
    assert row["pmid"] == "12345678" and row["year"] == "2004" and row["date"] == "2004-03-17"
    assert row["title"] == TRICKY.title[:-1] and row["pages"] == "S123-9" and row["doi"] == TRICKY.doi
    assert row["authors"].startswith("van der Berg JP Jr; O'Brien-Núñez Í; Silva e Costa M; ")
    assert row["abstract"].startswith('BACKGROUND: We asked, "does it?"') and "RESULTS: α-tocopherol" in row["abstract"]
    assert row["mesh"] == "*Databases, Protein; Asthma/*drug therapy/genetics"
    assert row["retracted"] == "yes" and "ERRATUM: J Odd Ends. 2004;13:1 PMID 111" in row["notices"]


def test_csv_has_numbers_as_such_and_no_cell_that_a_spreadsheet_cuts():
    many = tuple(Author(f"Name{number}", "Ann", "A") for number in range(5_000))
    line = export.render(Article(pmid=5, title="T", authors=many, publication_date=PartialDate(2004)), "csv")
    (cells,) = csv.reader(io.StringIO(line))
    assert line.startswith('5,"T","Name0 A; ') and ',2004,"2004",' in line
    assert max(map(len, cells)) <= 32_767 and "... [cut: 58," in cells[2][-30:]


def test_csl_json_is_an_array_of_items():
    stream = io.StringIO()
    export.write([TRICKY, CHAPTER, BOOK], stream, "csl")
    tricky, chapter, book = json.loads(stream.getvalue())
    assert (tricky["type"], chapter["type"], book["type"]) == ("article-journal", "chapter", "book")
    assert tricky["id"] == "pmid12345678" and tricky["PMID"] == "12345678" and tricky["PMCID"] == "PMC1234567"
    assert tricky["author"][0] == {"family": "van der Berg", "given": "Jan Peter", "suffix": "Jr"}
    assert tricky["author"][8] == {"literal": "World Health Organization and the {COVID}, 50% Group"}
    assert tricky["issued"] == {"date-parts": [[2004, 3, 17]]}
    assert tricky["available-date"] == {"date-parts": [[2003, 12, 23]]}
    assert tricky["page"] == "S123-S129" and tricky["container-title-short"] == "J Odd Ends"
    assert tricky["title"] == TRICKY.title[:-1] and tricky["note"].startswith("RETRACTED: J Odd Ends")
    assert chapter["container-title"] == "GeneReviews\u00ae" and chapter["editor"][1] == {"literal": "Editorial Board"}
    stream = io.StringIO()
    export.write([], stream, "csl")
    assert json.loads(stream.getvalue()) == []


@pytest.mark.parametrize(
    ("date", "issued"),
    [
        (PartialDate(2004, season="Summer"), {"date-parts": [[2004]], "season": 2}),
        (PartialDate(2015, 10, medline_date="2015 Oct-Dec"), {"date-parts": [[2015, 10]], "literal": "2015 Oct-Dec"}),
        (PartialDate(), None),
    ],
)
def test_dates_of_csl_json(date, issued):
    assert json.loads(export.render(Article(pmid=1, title="T", publication_date=date), "csl")).get("issued") == issued


ZEBRAS = Article(
    pmid=39337454,
    title="A study of zebras: part 1.",
    journal=Journal("International journal of molecular sciences", "Int J Mol Sci", "Int J Mol Sci"),
    volume="25",
    issue="18",
    article_number="9966",
    publication_date=PartialDate(2024, 9, 15),
    doi="10.3390/ijms25189966",
    authors=(
        Author("Muster", "Anna B", "AB"),
        Author("van der Berg", "Jan", "J", "Jr"),
        Author(collective_name="ZEBRA"),
    ),
)


@pytest.mark.parametrize(
    ("style", "expected"),
    [
        (
            "nlm",
            "Muster AB, van der Berg J Jr, ZEBRA. A study of zebras: part 1. Int J Mol Sci. 2024 Sep 15;25(18):9966. "
            "doi: 10.3390/ijms25189966. PMID: 39337454. https://pubmed.ncbi.nlm.nih.gov/39337454/",
        ),
        (
            "vancouver",
            "Muster AB, van der Berg J Jr, ZEBRA. A study of zebras: part 1. Int J Mol Sci. 2024 Sep 15;25(18):9966.",
        ),
        (
            "ama",
            "Muster AB, van der Berg J Jr, ZEBRA. A study of zebras: part 1. Int J Mol Sci. 2024;25(18):9966. "
            "doi:10.3390/ijms25189966",
        ),
        (
            "apa",
            "Muster, A. B., van der Berg, J., Jr, & ZEBRA. (2024). A study of zebras: part 1. International Journal of "
            "Molecular Sciences, 25(18), 9966. https://doi.org/10.3390/ijms25189966",
        ),
    ],
)
def test_citations_in_a_style(style, expected):
    stream = io.StringIO()
    export.write([ZEBRAS, RETRACTED_BY_TYPE], stream, "citation", style=style)
    first, second = stream.getvalue().splitlines()
    assert first == expected
    assert second.startswith("[RETRACTED] Gone")


def test_without_citeproc_there_is_nlms_style_and_the_message_says_what_to_install(monkeypatch):
    _style.cache_clear()
    monkeypatch.setitem(sys.modules, "citeproc", None)
    requirements = ["citeproc-py>=0.6; extra == 'citations'", 'styles>=0.1 ; extra == "citations"', "mcp>=2"]
    monkeypatch.setattr("importlib.metadata.requires", lambda name: requirements)
    with pytest.raises(
        ExportError, match=r"apa needs the extra `citations` .*: pip install 'citeproc-py>=0.6' 'styles"
    ):
        render(ZEBRAS, "apa")
    assert render(ZEBRAS, "nlm").startswith("Muster AB, van der Berg J Jr, ZEBRA. A study of zebras: part 1. Int J Mol")


def test_an_unknown_style_is_told():
    with pytest.raises(ExportError, match="choose nlm, vancouver, ama, apa"):
        export.write([ZEBRAS], io.StringIO(), "citation", style="mla")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r=", " =", "\uff1d", "\x00="])
def test_csv_runs_no_formula(start):
    (row,) = _cells(Article(pmid=1, title=f"{start}HYPERLINK(1)", volume=f"{start}1"))
    assert row["title"].startswith("'") and row["title"].endswith("HYPERLINK(1)") and row["volume"].startswith("'")


@SLOW_STRATEGY
@example(Article(pmid=1, title='a;"=cmd()', volume=";'+1", pages=";;=1"))
@given(article=articles)
def test_no_cell_of_a_csv_begins_a_formula(article):
    (row,) = _cells(article)
    for delimiter in ",;\t":
        for cells in csv.reader(io.StringIO(export.render(article, "csv")), delimiter=delimiter):
            assert not [cell for cell in cells if cell[:1] in tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")], cells
    assert int(row["pmid"]) == article.pmid


def test_csv_for_excel_begins_with_a_byte_order_mark(tmp_path):
    path = tmp_path / "out.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        export.write([TRICKY], stream, "csv", byte_order_mark=True)
    assert path.read_bytes().startswith(b'\xef\xbb\xbf"pmid",')


def test_markdown_is_a_numbered_list_with_links():
    stream = io.StringIO()
    export.write(ALL, stream, "markdown")
    shown = stream.getvalue()
    assert shown.startswith("1. **RETRACTED: J Odd Ends. 2005;14:2** [PMID 222](https://")
    assert (
        '\n\n2. [}An {odd{ title}, with "quotes" and a backslash\\\\](https://pubmed.ncbi.nlm.nih.gov/7/)\\\n   '
        in shown
    )
    assert "*The Journal of {Odd} \\& Ends (Oxford, England)*. 2004 Mar 17;12 Suppl 1(3 Pt 2):S123-9" in shown
    assert (
        "https://doi.org/10.1002/%28SICI%291097-0258%2819980815/30%2917:15/16%3C1661::AID-SIM968%3E3.0.CO;2-2_x)"
        in shown
    )
    assert "\n\n   **Methods and results:** α-tocopherol ≥ 5 µg/mL; line two.\n\n" in shown
    assert "\\<i\\>E. coli\\</i\\>" in shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [("1. Not a list", "1\\. Not a list"), ("- no", "\\- no"), ("# no", "\\# no"), ("2004 was", "2004 was")],
)
def test_markdown_abstracts_are_paragraphs(text, shown):
    article = Article(pmid=1, title="x", abstract=(AbstractSection(text),))
    assert export.render(article, "markdown").endswith(f"\n\n   {shown}\n\n")
