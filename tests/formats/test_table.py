"""Tables: PubMed's own CSV, pandas' CSV, ours, and Parquet."""

import io

import pytest
from export_articles import TRICKY

from search.article import Article, Author, Journal, PartialDate
from search.errors import SourceError
from search.formats import export
from search.formats.base import LeftOut, Rejection
from search.formats.open import open_source

PUBMED = (
    "\ufeffPMID,Title,Authors,Citation,First Author,Journal/Book,Publication Year,Create Date,PMCID,NIHMS ID,DOI\n"
    '"88000501","Invented title","Muster A, Beispiel OB.","J Invent Results. 2020 Feb;63(2):1.","Muster A",'
    '"J Invent Results","2020","2019/03/30","PMC1","","10.5555/x"\n'
)


def read(tmp_path, data, name="records.csv"):
    path = tmp_path / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return list(open_source(path))


def test_the_csv_that_pubmed_writes(tmp_path):
    assert read(tmp_path, PUBMED) == [
        Article(
            pmid=88000501,
            title="Invented title",
            journal=Journal("J Invent Results"),
            publication_date=PartialDate(2020),
            authors=(Author("Muster", initials="A"), Author("Beispiel", initials="OB")),
            pmcid="PMC1",
            doi="10.5555/x",
        )
    ]


def test_the_csv_that_pandas_writes(tmp_path):
    text = (
        ',pmid,title,abstract,year\n0,5.0,"A ""title""\nof two lines","x; y",2004.0\n1,6,b,NaN,\n2,x,c,,\n3,7,d,,soon\n'
    )
    first, second, rejected, left_out, last = read(tmp_path, text)
    assert (first.pmid, first.title, first.abstract_text, first.year) == (5, 'A "title" of two lines', "x; y", 2004)
    assert second == Article(pmid=6, title="b") and last == Article(pmid=7, title="d")
    assert isinstance(rejected, Rejection) and "'x'" in rejected.reason and rejected.where.endswith("line 5")
    assert isinstance(left_out, LeftOut) and "soon" in left_out.reason


def test_what_we_export_as_csv_is_read(tmp_path):
    stream = io.StringIO()
    export.write([TRICKY], stream, "csv", byte_order_mark=True)
    (found,) = read(tmp_path, stream.getvalue())
    assert (found.pmid, found.doi, found.year, found.title) == (12345678, TRICKY.doi, 2004, TRICKY.title[:-1])


@pytest.mark.parametrize("delimiter", ";\t")
def test_other_delimiters(tmp_path, delimiter):
    assert read(tmp_path, f"title{delimiter}PMID\r\na, b{delimiter}5\r\n") == [Article(pmid=5, title="a, b")]


def test_parquet(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = pyarrow.table({"pmid": [5, 6], "title": ["a", "b"], "mesh": [["Asthma"], None], "year": [2004.0, None]})
    buffer = io.BytesIO()
    parquet.write_table(table, buffer)
    first, second = read(tmp_path, buffer.getvalue(), "records.parquet")
    assert (first.pmid, first.mesh_headings[0].descriptor, first.year) == (5, "Asthma", 2004)
    assert second == Article(pmid=6, title="b")
    with pytest.raises(SourceError, match="damaged"):
        read(tmp_path, buffer.getvalue()[:50], "records.parquet")
