"""`search mesh update` fetches this year's MeSH from NLM, resumed and checked; what was there stays if it cannot."""

import gzip
from contextlib import closing
from datetime import date

import pytest
from nlm_server import Fault, NlmServer

from search.config import NlmConfig
from search.errors import QueryError, SourceError
from search.pubmed.http import Patience
from search.pubmed.mesh_files import update_mesh
from search.retrieval.mesh_tree import load_mesh

DESCRIPTORS = (
    "<DescriptorRecordSet><DescriptorRecord><DescriptorUI>D001241</DescriptorUI><DescriptorName><String>Aspirin"
    "</String></DescriptorName><TreeNumberList><TreeNumber>D02</TreeNumber></TreeNumberList></DescriptorRecord>"
    "</DescriptorRecordSet>"
)
SUPPLEMENTARY = (
    "<SupplementalRecordSet><SupplementalRecord><SupplementalRecordUI>C000588</SupplementalRecordUI>"
    "<SupplementalRecordName><String>ticagrelor</String></SupplementalRecordName></SupplementalRecord>"
    "</SupplementalRecordSet>"
)


@pytest.fixture
def server():
    server = NlmServer()
    for year in (2025, 2026):
        server.files[f"mesh/desc{year}.gz"] = gzip.compress(DESCRIPTORS.encode(), mtime=0)
        server.files[f"mesh/supp{year}.gz"] = gzip.compress(SUPPLEMENTARY.encode(), mtime=0)
    yield server
    server.close()


@pytest.fixture
def update(server, tmp_path, monkeypatch):
    monkeypatch.setenv("SEARCH_CACHE", str(tmp_path))
    patience = Patience(attempts=3, sleep=lambda _: None)
    config = NlmConfig(mesh_url=f"{server.url}mesh")
    return lambda year=2026: update_mesh(config, today=date(year, 11, 28), patience=patience)


def kept(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_both_files_are_fetched_and_kept(server, update, tmp_path):
    assert update() == (1, 1)
    assert [path for path, _, _ in server.requests] == ["mesh/desc2026.gz", "mesh/supp2026.gz"]
    assert kept(tmp_path) == ["mesh.sqlite"]
    with closing(load_mesh(None)) as mesh:
        assert (mesh.heading("d001241").name, mesh.concept("ticagrelor").ui) == ("Aspirin", "C000588")


def test_last_year_is_taken_while_this_year_is_not_out(server, update):
    assert update(2027) == (1, 1)
    assert [path for path, _, _ in server.requests] == ["mesh/desc2027.gz", "mesh/desc2026.gz", "mesh/supp2026.gz"]
    with pytest.raises(SourceError, match=r"127.0.0.1/mesh/desc2029.gz: there is no such file"):
        update(2030)


@pytest.mark.parametrize("fault", [Fault(status=503), Fault(cut=60), Fault(body=b"<html>busy</html>")])
def test_what_goes_wrong_once_is_tried_again(server, update, fault):
    server.faults["mesh/supp2026.gz"] = [fault]
    assert update() == (1, 1)
    asked = [place for path, place, _ in server.requests if path == "mesh/supp2026.gz"]
    assert asked == [None, "bytes=60-" if fault.cut else None]


def test_a_download_is_resumed_in_the_next_process(server, update, tmp_path):
    (tmp_path / "mesh-downloads").mkdir()
    part = tmp_path / "mesh-downloads" / "desc2026.gz.part"
    part.write_bytes(server.files["mesh/desc2026.gz"][:50])
    assert update() == (1, 1)
    assert server.requests[0][:2] == ("mesh/desc2026.gz", "bytes=50-")
    # A part of yesterday's file does not fit today's: its checksum is wrong, and all of it is fetched.
    part.write_bytes(bytes(50))
    assert update() == (1, 1)


def test_what_was_there_stays_if_nlm_fails(server, update, tmp_path):
    assert update() == (1, 1)
    server.files["mesh/desc2026.gz"] = b"never gzip"
    with pytest.raises(SourceError, match=r"desc2026.gz: the download is damaged .*\(3 attempts\)"):
        update()
    server.files["mesh/desc2026.gz"] = gzip.compress(b"<html></html>")
    with pytest.raises(QueryError, match="desc2026.gz is not MeSH"):
        update()
    with closing(load_mesh(None)) as mesh:
        assert mesh.heading("aspirin").ui == "D001241"
