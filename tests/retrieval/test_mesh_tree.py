"""MeSH from small files in NLM's formats: headings, entry terms, the tree, and PubMed's mapping of untagged words."""

import gzip
from contextlib import closing

import pytest
from helpers import article, put

from search.article import Author, Journal, MeshHeading, Substance
from search.errors import QueryError, SourceError
from search.formats.mesh_records import read_mesh
from search.retrieval.engine import Engine
from search.retrieval.mesh_tree import MeshTree, add_mesh, load_mesh
from search.retrieval.strategy import parse_strategy, translation
from search.retrieval.strategy.evaluation import OneArticle
from search.retrieval.strategy.term_mapping import mapped
from search.storage import backend

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
MH = Aspirin
ENTRY = Acetylsalicylic Acid|T109
MN = D02.455.426
PA = Platelet Aggregation Inhibitors
PA = Anti-Inflammatory Agents, Non-Steroidal
UI = D001241

*NEWRECORD
MH = Hematologic Agents
MN = D27.505.954.502
UI = D006401

*NEWRECORD
MH = Platelet Aggregation Inhibitors
ENTRY = Antiplatelet Agents|T121
MN = D27.505.954.502.780
UI = D010975

*NEWRECORD
MH = Review
MN = V03.950
UI = D016454

*NEWRECORD
MH = Therapeutics
ENTRY = Therapy|T061
MN = E02
UI = D013812

*NEWRECORD
MH = Protein C
MN = D08.811.277
UI = D011486
"""


def xml(name, ui, numbers=(), terms=(), actions=(), kind="Descriptor"):
    """A record as NLM writes it."""
    record = "DescriptorRecord" if kind == "Descriptor" else kind
    places = "".join(f"<TreeNumber>{number}</TreeNumber>" for number in numbers)
    concepts = "".join(
        f"<Concept><TermList><Term><String>{term}</String></Term></TermList></Concept>" for term in (name, *terms)
    )
    acts = "".join(
        "<PharmacologicalAction><DescriptorReferredTo><DescriptorUI>D1</DescriptorUI><DescriptorName>"
        f"<String>{action}</String></DescriptorName></DescriptorReferredTo></PharmacologicalAction>"
        for action in actions
    )
    return (
        f"<{record}><{kind}UI>{ui}</{kind}UI><{kind}Name><String>{name}</String></{kind}Name>"
        f"{f'<PharmacologicalActionList>{acts}</PharmacologicalActionList>' if acts else ''}"
        f"{f'<TreeNumberList>{places}</TreeNumberList>' if places else ''}"
        f"<ConceptList>{concepts}</ConceptList></{record}>"
    )


PREAMBLE = '<?xml version="1.0"?>\n<!DOCTYPE DescriptorRecordSet SYSTEM "desc2025.dtd">\n'
XML = f"""{PREAMBLE}<DescriptorRecordSet LanguageCode="eng">
{xml("Heart Diseases", "D006331", ["C14.280"], ["Cardiac Diseases"])}
{
    xml(
        "Myocardial Infarction",
        "D009203",
        ["C14.280.647.500", "C14.907.585.500"],
        ["Heart Attack", "Infarction, Myocardial"],
    )
}
{
    xml(
        "Aspirin",
        "D001241",
        ["D02.455.426"],
        ["Acetylsalicylic Acid"],
        ["Platelet Aggregation Inhibitors", "Anti-Inflammatory Agents, Non-Steroidal"],
    )
}
{xml("Hematologic Agents", "D006401", ["D27.505.954.502"])}
{xml("Platelet Aggregation Inhibitors", "D010975", ["D27.505.954.502.780"], ["Antiplatelet Agents"])}
{xml("Review", "D016454", ["V03.950"])}
{xml("Therapeutics", "D013812", ["E02"], ["Therapy"])}
{xml("Protein C", "D011486", ["D08.811.277"])}
</DescriptorRecordSet>"""

SUPPLEMENTARY_ASCII = """*NEWRECORD
RECTYPE = C
NM = ticagrelor
SY = AZD 6140|T109|T121|TRD|NRW|NLM|041021|abbcdef
SY = Brilinta|T109
HM = *Adenosine
PA = Platelet Aggregation Inhibitors
UI = C000588

*NEWRECORD
NM = CHAP protocol
UI = C043211
"""
SUPPLEMENTARY_XML = f"""{PREAMBLE}<SupplementalRecordSet>
{
    xml(
        "ticagrelor",
        "C000588",
        terms=["AZD 6140", "Brilinta"],
        actions=["Platelet Aggregation Inhibitors"],
        kind="SupplementalRecord",
    )
}
{xml("CHAP protocol", "C043211", kind="SupplementalRecord")}
</SupplementalRecordSet>"""


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
        assert add_mesh([path]) == (8, 0)
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


def phrase(name):
    return f'"{name}"[All Fields]'


def words(name):
    """The words of a name, and the name as a phrase."""
    return f"({' AND '.join(phrase(word) for word in name.lower().split())}) OR {phrase(name)}"


ANTIPLATELET = "Platelet Aggregation Inhibitors"
HEART_ATTACK = f'"Myocardial Infarction"[MeSH Terms] OR {words("Myocardial Infarction")} OR {words("heart attack")}'
ONE = OneArticle(
    article(
        1,
        journal=Journal(title="The New England journal of medicine", medline_abbreviation="N Engl J Med"),
        authors=(Author(last_name="Wong", fore_name="Julia S", initials="JS"), Author(last_name="In", initials="H")),
        investigators=(Author(last_name="Müller", fore_name="Hans", initials="H"),),
    )
)
NOTHING = OneArticle(article(2))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("aspirin heart attack", f'("Aspirin"[MeSH Terms] OR {phrase("aspirin")}) AND ({HEART_ATTACK})'),
        ("protein c", f'"Protein C"[MeSH Terms] OR {phrase("protein c")}'),
        ("the risk of it", phrase("risk")),
        ('"heart attack"', phrase("heart attack")),
        ("heart attack*", f"{phrase('heart')} AND {phrase('attack*')}"),
        ("heart attack[mh]", '"Myocardial Infarction"[MeSH Terms]'),
        ("heart attack/dt[majr]", '"Myocardial Infarction/dt"[MeSH Major Topic]'),
        ("heart attack/drug therapy", '"Myocardial Infarction/drug therapy"[MeSH Terms]'),
        ("heart attack[tiab]", '"heart attack"[Title/Abstract]'),
        ("review", f'"Review"[Publication Type] OR {phrase("review")}'),
        (
            "therapy",
            f'"therapy"[MeSH Subheading] OR "Therapeutics"[MeSH Terms] OR {phrase("Therapeutics")} OR '
            f"{phrase('therapy')}",
        ),
        ("genetics", f'"genetics"[MeSH Subheading] OR {phrase("genetics")}'),
        (
            "antiplatelet agents",
            f'"{ANTIPLATELET}"[Pharmacological Action] OR "{ANTIPLATELET}"[MeSH Terms] OR {words(ANTIPLATELET)} OR '
            f"{words('antiplatelet agents')}",
        ),
        ("acetylsalicylic acid[nm]", '"Aspirin"[Supplementary Concept]'),
        ("antiplatelet agents[pa]", '"antiplatelet agents"[Pharmacological Action]'),
    ],
)
def test_untagged_words_stand_for_headings(mesh, text, expected):
    assert translation(mapped(parse_strategy(text), mesh, NOTHING).result.tree) == expected


JOURNAL = '"new england journal of medicine"[Journal] OR ("new"[All Fields] AND "england"[All Fields] AND '


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("N Engl J Med", f'"N Engl J Med"[Journal] OR {phrase("N Engl J Med")}'),
        (
            "new england journal of medicine salt",
            f'({JOURNAL}"journal"[All Fields] AND "medicine"[All Fields]) OR '
            f"{phrase('new england journal of medicine')}) AND {phrase('salt')}",
        ),
        ("nejm", f'"N Engl J Med"[Journal] OR "New England Journal of Medicine"[Journal] OR {phrase("nejm")}'),
        ("gut salt", f"{phrase('gut')} AND {phrase('salt')}"),
        ("wong js salt", f'"wong js"[Author] AND {phrase("salt")}'),
        ("salt wong j", f'{phrase("salt")} AND "wong j"[Author]'),
        ("julia s wong", '"julia s wong"[Full Author Name]'),
        ("wong julia s", '"wong julia s"[Full Author Name]'),
        ("muller h", '"muller h"[Investigator]'),
        ("hans müller", '"hans müller"[Full Investigator Name]'),
        ("wong k", f"{phrase('wong')} AND {phrase('k')}"),
        ("h in", phrase("h")),
        ('"wong js"', phrase("wong js")),
    ],
)
def test_untagged_words_stand_for_journals_and_people_of_the_index(text, expected):
    assert translation(mapped(parse_strategy(text), None, ONE).result.tree) == expected


def test_mesh_comes_before_journals_and_people(tmp_path):
    (tmp_path / "mtrees.bin").write_text("Wong Syndrome;C16\nWong;A01\n")
    with closing(MeshTree(tmp_path / "mtrees.bin")) as mesh:
        tree = mapped(parse_strategy("wong js"), mesh, ONE).result.tree
        assert translation(tree) == '"wong js"[Author]'
        tree = mapped(parse_strategy("wong"), mesh, ONE).result.tree
        assert translation(tree) == f'"Wong"[MeSH Terms] OR {phrase("wong")}'


@pytest.fixture(params=["ascii", "xml", "added", "added later"])
def whole(request, tmp_path, monkeypatch):
    """Descriptors and supplementary concepts, as they are added."""
    monkeypatch.setattr("search.retrieval.mesh_tree.cache_folder", lambda: tmp_path / "cache")
    descriptors, supplementary = tmp_path / "desc2026.xml", tmp_path / "supp2026.gz"
    is_ascii = request.param == "ascii"
    descriptors.write_text(ASCII if is_ascii else XML)
    supplementary.write_bytes(gzip.compress((SUPPLEMENTARY_ASCII if is_ascii else SUPPLEMENTARY_XML).encode()))
    if request.param == "added later":
        with pytest.raises(QueryError, match="no headings yet"):
            add_mesh([supplementary])
        assert load_mesh(None) is None
        assert add_mesh([descriptors]) == (8, 0)
        assert add_mesh([supplementary]) == (8, 2)
        # Descriptors of another year take the place of the old ones, and supplementary concepts stay.
        descriptors.write_text(XML.replace("Cardiac Diseases", "Cardiopathies"))
        assert add_mesh([descriptors]) == (8, 2)
    else:
        assert add_mesh([supplementary, descriptors]) == (8, 2)
    with closing(load_mesh(None)) as mesh:
        yield mesh


def test_supplementary_concepts_are_found_by_their_other_names(whole):
    concept = whole.concept("brilinta")
    assert (concept.name, concept.ui, concept.entry_terms) == ("ticagrelor", "C000588", ("AZD 6140", "Brilinta"))
    assert whole.concept("azd-6140") == whole.concept("C000588") == whole.concept("ticagrelor") == concept
    assert concept.actions == (ANTIPLATELET,)
    assert whole.heading("brilinta") is whole.concept("aspirin") is None
    assert whole.heading("aspirin").actions == (ANTIPLATELET, "Anti-Inflammatory Agents, Non-Steroidal")
    assert [name for name, _ in whole.beginning("a", 10)] == ["Acetylsalicylic Acid", "Antiplatelet Agents", "Aspirin"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("brilinta[nm]", '"ticagrelor"[Supplementary Concept]'),
        ("brilinta[mh]", '"brilinta"[MeSH Terms]'),
        ("ticagrelor", f'"ticagrelor"[Supplementary Concept] OR {phrase("ticagrelor")}'),
        (
            "azd 6140",
            f'"ticagrelor"[Supplementary Concept] OR {phrase("ticagrelor")} OR {phrase("azd 6140")}',
        ),
    ],
)
def test_other_names_of_substances_are_mapped(whole, text, expected):
    assert translation(mapped(parse_strategy(text), whole, NOTHING).result.tree) == expected


def test_the_substances_with_an_action(whole):
    both = ["Aspirin", "ticagrelor"]
    assert sorted(whole.acting("platelet aggregation inhibitors")) == both
    assert sorted(whole.acting("Antiplatelet Agents")) == both
    assert sorted(whole.acting("Hematologic Agents")) == both
    with pytest.raises(QueryError, match="no pharmacological action 'Hematologic Agents'"):
        whole.acting("Hematologic Agents", explode=False)
    with pytest.raises(QueryError, match="'platelet inhibitors': the nearest are platelet aggregation inhibitors"):
        whole.acting("platelet inhibitors")


def test_articles_on_substances_with_an_action_are_found(whole, address, encoder):
    put(
        address,
        encoder,
        article(1, mesh_headings=(MeshHeading("Aspirin"),)),
        article(2, substances=(Substance("ticagrelor"),)),
        article(3, "ticagrelor and aspirin"),
        merge=True,
    )
    with closing(backend.open_reader(address)) as reader:
        engine = Engine(reader, encoder.encode)
        for text, pmids in {
            "antiplatelet agents[pa]": (1, 2),
            "Hematologic Agents[Pharmacological Action] NOT aspirin[mh]": (2,),
            "brilinta[nm]": (2,),
            "brilinta": (2, 3),
            "antiplatelet agents": (1, 2),
        }.items():
            assert engine.strategy(text).pmids == pmids, text
        for text, message in {
            "salt AND Hematologic Agents[pa:noexp]": "at character 10: MeSH has no pharmacological action",
            "antiplat*[pa]": "at character 1: write the name of a pharmacological action whole",
        }.items():
            with pytest.raises(QueryError, match=message):
                engine.strategy(text)


def test_an_action_needs_mesh(address, encoder, tmp_path, monkeypatch):
    monkeypatch.setattr("search.retrieval.mesh_tree.cache_folder", lambda: tmp_path / "cache")
    put(address, encoder, article(1))
    with closing(backend.open_reader(address)) as reader:
        with pytest.raises(QueryError, match=r"at character 10: \[pa\] needs MeSH.*\n.*\n {11}\^") as error:
            Engine(reader, encoder.encode).strategy("salt AND antiplatelet agents[pa]")
        assert "search mesh update" in str(error.value)
        (tmp_path / "mtrees.bin").write_text("Aspirin;D02\n")
        add_mesh([tmp_path / "mtrees.bin"])
        with pytest.raises(QueryError, match="names no pharmacological actions: run `search mesh update`"):
            Engine(reader, encoder.encode).strategy("salt AND antiplatelet agents[pa]")


def test_what_is_not_mesh_is_an_error(tmp_path):
    for name, content in (
        ("a.bin", b"nothing"),
        ("b.xml", b"<a><b></a>"),
        ("c.gz", b"\x1f\x8bno"),
        ("d.bin", b"*NEWRECORD\nUI = D000001\n"),
        ("e.sqlite", b"SQLite format 3\x00 and no more"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises((QueryError, SourceError), match=name):
            MeshTree(tmp_path / name).heading("a")
    with pytest.raises(QueryError, match=r"nowhere.bin: No such file"):
        MeshTree(tmp_path / "nowhere.bin")


@pytest.mark.parametrize("length", [None, -20])
def test_a_damaged_or_cut_off_file_is_reported(tmp_path, length):
    record = b"*NEWRECORD\nMH = Hypertension\nMN = C14.907.489\nUI = D006973\n"
    packed = bytearray(gzip.compress(record * 1000))
    packed[30] ^= 0xFF if length is None else 0
    file = tmp_path / "d2026.bin"
    file.write_bytes(packed[:length])
    with pytest.raises(SourceError, match="d2026.bin: .*(damaged|cut off)"):
        list(read_mesh(file))


def test_a_file_that_unpacks_without_end_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr("search.formats.byte_stream._RATIO_FROM", 1 << 16)
    (tmp_path / "d2026.bin").write_bytes(gzip.compress(b"*NEWRECORD\nUI = D000001\n" * 50_000))
    with pytest.raises(SourceError, match="d2026.bin: unpacks to over 200 times its size"):
        list(read_mesh(tmp_path / "d2026.bin"))
