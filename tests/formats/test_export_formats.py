"""What holds for every format: the door, streaming, control characters, and the marks."""

import csv
import io
import unicodedata

import pytest
from export_articles import ALL, RETRACTED_BY_TYPE, SAMPLE, TRICKY, articles
from hypothesis import HealthCheck, example, given, settings

from search.article import AbstractSection, Article, from_json
from search.errors import ExportError
from search.formats import export

SLOW_STRATEGY = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)


def test_all_formats_are_there():
    assert list(export.FORMATS) == ["ris", "bibtex", "nbib", "csv", "jsonl", "markdown"]


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


@pytest.mark.parametrize("format", export.FORMATS)
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
    assert row["title"] == TRICKY.title and row["pages"] == "S123-9" and row["doi"] == TRICKY.doi
    assert row["authors"].startswith("van der Berg JP Jr; O'Brien-Núñez Í; Silva e Costa M; ")
    assert row["abstract"].startswith('BACKGROUND: We asked, "does it?"') and "RESULTS: α-tocopherol" in row["abstract"]
    assert row["mesh"] == "*Databases, Protein; Asthma/*drug therapy/genetics"
    assert row["retracted"] == "yes" and "ERRATUM: J Odd Ends. 2004;13:1 PMID 111" in row["notices"]


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
