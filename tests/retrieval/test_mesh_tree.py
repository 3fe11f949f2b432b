"""MeSH from small files in NLM's formats: headings, entry terms, the tree, and PubMed's mapping of untagged words."""

import gzip

import pytest

from search.errors import QueryError
from search.retrieval.mesh_tree import MeshTree, add_mesh, load_mesh
from search.retrieval.strategy import parse_strategy, translation
from search.retrieval.strategy.term_mapping import mapped

ASCII = """*NEWRECORD
RECTYPE = D
MH = Heart Diseases
MN = C14.280
ENTRY = Cardiac Diseases|T047|NON|EQV|NLM (2010)|abc
UI = D006331

*NEWRECORD
MH = Myocardial Infarction
PRINT ENTRY = Heart Attack|T047|NON|EQV|NLM (1974)|abc
ENTRY = Infarction, Myocardial
MN = C14.280.647.500
MN = C14.907.585.500
UI = D009203

*NEWRECORD
MH = Protein C
MN = D08.811.277
UI = D011486
"""
XML = """<?xml version="1.0"?>
<!DOCTYPE DescriptorRecordSet SYSTEM "desc2025.dtd">
<DescriptorRecordSet LanguageCode="eng">
<DescriptorRecord DescriptorClass="1"><DescriptorUI>D006331</DescriptorUI>
 <DescriptorName><String>Heart Diseases</String></DescriptorName>
 <TreeNumberList><TreeNumber>C14.280</TreeNumber></TreeNumberList>
 <ConceptList><Concept PreferredConceptYN="Y"><TermList>
  <Term><String>Heart Diseases</String></Term><Term><String>Cardiac Diseases</String></Term>
 </TermList></Concept></ConceptList></DescriptorRecord>
<DescriptorRecord DescriptorClass="1"><DescriptorUI>D009203</DescriptorUI>
 <DescriptorName><String>Myocardial Infarction</String></DescriptorName>
 <TreeNumberList><TreeNumber>C14.280.647.500</TreeNumber><TreeNumber>C14.907.585.500</TreeNumber></TreeNumberList>
 <ConceptList><Concept PreferredConceptYN="Y"><TermList><Term><String>Heart Attack</String></Term></TermList></Concept>
 <Concept PreferredConceptYN="N"><TermList><Term><String>Infarction, Myocardial</String></Term></TermList></Concept>
 </ConceptList></DescriptorRecord>
<DescriptorRecord DescriptorClass="1"><DescriptorUI>D011486</DescriptorUI>
 <DescriptorName><String>Protein C</String></DescriptorName>
 <TreeNumberList><TreeNumber>D08.811.277</TreeNumber></TreeNumberList></DescriptorRecord>
</DescriptorRecordSet>
"""


@pytest.fixture(params=["ascii", "xml", "gz", "added"])
def mesh(request, tmp_path, monkeypatch):
    monkeypatch.setattr("search.retrieval.mesh_tree.cache_folder", lambda: tmp_path / "cache")
    path = tmp_path / "d2025.bin"
    path.write_text(XML if request.param in ("xml", "added") else ASCII)
    if request.param == "gz":
        (tmp_path / "d.bin.gz").write_bytes(gzip.compress(ASCII.encode()))
        return MeshTree(tmp_path / "d.bin.gz")
    if request.param == "added":
        assert load_mesh(None) is None
        assert add_mesh(path) == 3
        return load_mesh(None)
    return load_mesh(path)


def test_headings_by_name_ui_and_entry_term(mesh):
    heading = mesh.heading("heart-attack")
    assert (heading.name, heading.ui) == ("Myocardial Infarction", "D009203")
    assert heading.numbers == ("C14.280.647.500", "C14.907.585.500")
    assert set(heading.entry_terms) == {"Heart Attack", "Infarction, Myocardial"}
    assert mesh.heading("d009203") == mesh.heading("myocardial infarction") == heading
    assert mesh.heading("flu") is None


def test_what_lies_below_a_heading(mesh):
    assert mesh.below("Heart Diseases") == ["Myocardial Infarction"]
    assert mesh.below("cardiac diseases") == ["Heart Diseases", "Myocardial Infarction"]
    assert mesh.below("D006331") == ["Heart Diseases", "Myocardial Infarction"]
    assert mesh.below("Myocardial Infarction") == mesh.below("flu") == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "aspirin heart attack",
            '"aspirin"[All Fields] AND ("Myocardial Infarction"[MeSH Terms] OR ("heart"[All Fields] AND '
            '"attack"[All Fields]) OR "heart attack"[All Fields] OR "Myocardial Infarction"[All Fields])',
        ),
        ("protein c", '"Protein C"[MeSH Terms] OR "protein c"[All Fields]'),
        ("the risk of it", '"risk"[All Fields]'),
        ('"heart attack"', '"heart attack"[All Fields]'),
        ("heart attack*", '"heart"[All Fields] AND "attack*"[All Fields]'),
        ("heart attack[mh]", '"Myocardial Infarction"[MeSH Terms]'),
        ("heart attack/dt[majr]", '"Myocardial Infarction/dt"[MeSH Major Topic]'),
        ("heart attack/drug therapy", '"Myocardial Infarction/drug therapy"[MeSH Terms]'),
        ("heart attack[tiab]", '"heart attack"[Title/Abstract]'),
    ],
)
def test_untagged_words_stand_for_headings(mesh, text, expected):
    assert translation(mapped(parse_strategy(text), mesh).result.tree) == expected


def test_what_is_not_mesh_is_an_error(tmp_path):
    for name, content in (
        ("a.bin", b"nothing"),
        ("b.xml", b"<a><b></a>"),
        ("c.gz", b"\x1f\x8bno"),
        ("d.bin", b'{"mesh": 1}'),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(QueryError, match=name):
            MeshTree(tmp_path / name)
    with pytest.raises(QueryError, match=r"nowhere.bin: No such file"):
        MeshTree(tmp_path / "nowhere.bin")
