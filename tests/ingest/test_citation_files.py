"""Files of citations and of retractions, as they are and as they should not be."""

import gzip

import pytest
from helpers import article

from search.errors import SourceError
from search.ingest import citation_files
from search.ingest.citation_files import add_citations, add_retractions, remove_citations
from search.storage import backend
from search.storage.citation_graph import cited_by, references_of
from search.storage.rows import prepare


@pytest.fixture
def writer(address):
    opened = backend.open_writer(address)
    opened.store.apply(opened.store.plan([prepare(article(pmid)) for pmid in (1, 2, 3)]))
    yield opened
    opened.close()


def known(writer, *pmids):
    articles = [article(pmid) for pmid in pmids]
    return cited_by(writer.store, articles), references_of(writer.store, articles)


def write(tmp_path, content, name="citations.csv"):
    path = tmp_path / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "content",
    [
        b"citing,referenced\n2,1\n3,1\n9,1\n1,8\n8,9\n",
        b"\xef\xbb\xbfciting,referenced\r\n2,1\r\n3,1\r\n9,1\r\n1,8\r\n8,9",
        b'"citing","referenced"\n"2","1"\n"3","1"\n"9","1"\n"1","8"\n"8","9"\n',
        b"referenced,citing\r1,2\r1,3\r1,9\r8,1\r9,8\r",
        b"n,citing_pmid,cited_pmid\n0,2,1\n1,3,1\n2,9,1\n3,1,8\n4,8,9\n",
        b"citing,referenced\n2,1\n3,1\n3,1\n9,1\n1,8\n8,9\n2,1\n",
        gzip.compress(b"citing,referenced\n2,1\n3,1\n9,1\n1,8\n8,9\n"),
    ],
    ids=["plain", "bom, crlf", "quoted", "columns turned, cr", "three columns", "twice", "gzip"],
)
def test_citations_that_touch_the_index_are_kept(writer, tmp_path, content):
    report = add_citations(writer, write(tmp_path, content))
    assert known(writer, 1, 2, 8, 9) == (
        {1: [2, 3, 9], 2: [], 8: [1], 9: []},
        {1: [8], 2: [1], 8: [], 9: [1]},
    )
    assert report.counts["rejected"] == 0 and report.read >= 5


def test_all_citations_are_kept_if_asked_for(writer, tmp_path):
    add_citations(writer, write(tmp_path, b"citing,referenced\n2,1\n8,9\n"), everything=True)
    assert known(writer, 9)[0] == {9: [8]}
    assert remove_citations(writer) == 2
    assert known(writer, 1, 9)[0] == {1: [], 9: []}


def test_rows_that_hold_no_pmids_are_counted_and_named(writer, tmp_path):
    content = b"citing,referenced\n2,1\nx,1\n3\n\n0,5\n3,-1\n3,1.5\n,1\n3,99999999999999999999\n3,1\n"
    report = add_citations(writer, write(tmp_path, content))
    assert known(writer, 1)[0] == {1: [2, 3]}
    assert report.counts == {"added": 2, "rejected": 7}
    assert [int(rejection.where.rpartition(" ")[2]) for rejection in report.rejections] == [3, 4, 6, 7, 8, 9, 10]
    assert report.rejections[0].reason == "the PMID 'x' is not a positive whole number"
    assert report.rejections[1].reason == "it has too few columns"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"pmid,title\n1,a\n", "does not name the columns `citing` and `referenced`"),
        (b"2,1\n3,1\n", "does not name the columns"),
    ],
)
def test_a_file_that_is_none_is_an_error(writer, tmp_path, content, message):
    with pytest.raises(SourceError, match=message):
        add_citations(writer, write(tmp_path, content))
    assert known(writer, 1)[0] == {1: []}
    # It is not among the files that were read, nor among those that are incomplete.
    assert not list(writer.store.files())


def test_a_file_that_cannot_be_read_is_named(writer, tmp_path):
    file = tmp_path / "mem"
    file.symlink_to("/proc/self/mem")
    if not file.exists():
        pytest.skip("there is no file here that cannot be read")
    for add in (add_citations, add_retractions):
        with pytest.raises(SourceError, match="mem: .*Input/output error"):
            add(writer, file)


def test_a_file_is_read_once_and_a_run_that_was_stopped_resumes(writer, tmp_path, monkeypatch):
    monkeypatch.setattr(citation_files, "_AT_ONCE", 3)
    content = b"citing,referenced\n" + b"".join(b"%d,1\n" % pmid for pmid in range(10, 400))
    path = write(tmp_path, content)
    put, calls = citation_files._put_collection, []

    def failing(*arguments):
        calls.append(len(arguments[1]))
        if len(calls) == 2:
            raise KeyboardInterrupt
        put(*arguments)

    monkeypatch.setattr(citation_files, "_put_collection", failing)
    monkeypatch.setattr(citation_files, "_whole_lines", lambda stream: iter(_pieces(content)))
    with pytest.raises(KeyboardInterrupt):
        add_citations(writer, path)
    done = len(known(writer, 1)[0][1])
    assert 0 < done < 390
    report = add_citations(writer, path)
    assert report.read == 390 - done
    assert known(writer, 1)[0] == {1: list(range(10, 400))}
    assert add_citations(writer, path).known
    assert add_citations(writer, path, reread=True).read == 390
    assert known(writer, 1)[0] == {1: list(range(10, 400))}


def _pieces(content):
    lines = content.splitlines(keepends=True)
    return [b"".join(lines[start : start + 40]) for start in range(0, len(lines), 40)]


def test_a_file_that_breaks_off_leaves_what_came_before(writer, tmp_path):
    content = gzip.compress(b"citing,referenced\n" + b"".join(b"%d,1\n" % pmid for pmid in range(10, 40_000)))
    with pytest.raises(SourceError, match=r"citations\.csv"):
        add_citations(writer, write(tmp_path, content[: len(content) // 2]))
    (entry,) = writer.store.files()
    assert not entry["complete"] and entry["error"]


# Retraction Watch

HEADER = (
    "Record ID,Title,Subject,Institution,Journal,Publisher,Country,Author,URLS,ArticleType,RetractionDate,"
    "RetractionDOI,RetractionPubMedID,OriginalPaperDate,OriginalPaperDOI,OriginalPaperPubMedID,RetractionNature,"
    "Reason,Paywalled,Notes"
)


def entry(pmid="0", doi="unavailable", nature="Retraction", date="3/1/2024 0:00", reason="+Plagiarism;", notice="0"):
    title = '"Of ""this"", and\nthat"'
    return f"1,{title},,,J,P,C,A,,Research,{date},10.9/n,{notice},1/1/2020 0:00,{doi},{pmid},{nature},{reason},No,"


def list_of(*entries, header=HEADER):
    return "\r\n".join([header, *entries]).encode()


def retractions(writer):
    columns = "pmid, doi, nature, day, reasons, notice_pmid, notice_doi"
    return [tuple(row) for row in writer.store.rows(f"SELECT {columns} FROM retractions ORDER BY pmid, doi")]


def test_the_list_is_taken_in_place_of_the_one_before(writer, tmp_path):
    add_retractions(writer, write(tmp_path, list_of(entry("7"))))
    content = list_of(
        entry(
            "1",
            "10.1/A",
            reason="+Falsification/Fabrication of Data;+Investigation by Company/Institution;",
            notice="55",
        ),
        entry("0", "https://doi.org/10.1/B", nature="Expression of concern", date="2024-03-09"),
        entry(),
        entry("2", nature="Correction", date="someday"),
    )
    report = add_retractions(writer, write(tmp_path, b"\xef\xbb\xbf" + content))
    assert report.counts == {"added": 3, "without PMID and DOI": 1, "of articles in the index": 2}
    assert retractions(writer) == [
        (0, "10.1/b", "Expression of concern", 20240309, "Plagiarism", 0, "10.9/n"),
        (1, "10.1/a", "Retraction", 20240301, "Falsification/Fabrication of Data; Investigation by Company/Institution",
         55, "10.9/n"),
        (2, "", "Correction", 0, "Plagiarism", 0, "10.9/n"),
    ]  # fmt: skip


def test_what_was_reinstated_is_not_retracted(writer, tmp_path):
    content = list_of(
        entry("1"), entry("1", nature="Reinstatement", date="5/1/2024 0:00"),
        entry("2"), entry("2", nature="Reinstatement", date="5/1/2023 0:00"), entry("2"),
    )  # fmt: skip
    add_retractions(writer, write(tmp_path, content))
    assert [row[0] for row in retractions(writer)] == [2]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (list_of(), "holds no entries"),
        (b"pmid,title\n1,a\n", "it has no column 'RetractionDate'"),
        (gzip.compress(list_of(*[entry(str(n)) for n in range(1, 2000)]))[:-200], "rw.csv"),
    ],
)
def test_a_list_that_is_none_changes_nothing(writer, tmp_path, content, message):
    add_retractions(writer, write(tmp_path, list_of(entry("7"))))
    with pytest.raises(SourceError, match=message):
        add_retractions(writer, write(tmp_path, content, "rw.csv"))
    assert [row[0] for row in retractions(writer)] == [7]


def test_a_short_row_is_counted_and_named(writer, tmp_path):
    report = add_retractions(writer, write(tmp_path, list_of(entry("7"), "2,short", entry("8"))))
    assert report.counts["rejected"] == 1 and report.counts["added"] == 2
    assert "line" in report.rejections[0].where
