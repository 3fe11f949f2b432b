"""A table of studies: a cell for each thing known, nothing where nothing is known, quotes and bars kept apart."""

import csv
import io

from search.article import AbstractSection, Article, PublicationType
from search.presentation.study_table import csv_table, markdown_table, study_label, study_rows
from search.retrieval.evidence import EvidenceSentence
from search.retrieval.hit import Hit

TRIAL = Article(
    pmid=7,
    title='Aspirin | "placebo".',
    abstract=(AbstractSection("We randomised 1,200 women (NCT01234567). It works."),),
    publication_types=(PublicationType("Randomized Controlled Trial"), PublicationType("Retracted Publication")),
)
HITS = [
    Hit(rank=1, score=0.9, article=TRIAL, evidence=(EvidenceSentence("It works.", 40, 49, 0.5, "conclusions"),)),
    Hit(rank=2, score=0.8, article=Article(pmid=8, title="Zinc.")),
]


def test_rows_say_what_is_known_and_no_more():
    first, second = study_rows(HITS)
    assert (first.pmid, first.design, first.sample_size) == (7, "randomized trial", 1200)
    assert first.finding == "Conclusions: It works." and first.notices == ["retracted"]
    assert (second.design, second.sample_size, second.finding, second.year) == (None, None, None, None)
    assert study_label(TRIAL) == "randomized trial, n = 1,200, NCT01234567"
    assert study_label(HITS[1].article) == ""


def test_markdown_has_a_line_a_study_and_its_bars_escaped():
    lines = markdown_table(study_rows(HITS)).splitlines()
    assert lines[0] == "| Design | n | Finding | Year | Article |" and len(lines) == 4
    assert lines[2].startswith("| randomized trial | 1200 | Conclusions: It works. |  | \\[RETRACTED\\] Aspirin \\| ")
    assert lines[3].startswith("|  |  |  |  | Zinc. PMID: 8.")


def test_no_cell_of_the_csv_is_a_formula():
    title = "=HYPERLINK(1)"
    (row,) = csv.DictReader(
        io.StringIO(csv_table(study_rows([Hit(rank=1, score=1.0, article=Article(pmid=9, title=title))])))
    )
    assert row["citation"].startswith("'=HYPERLINK(1)")


def test_csv_reads_back():
    rows = list(csv.DictReader(io.StringIO(csv_table(study_rows(HITS)), newline="")))
    assert [row["pmid"] for row in rows] == ["7", "8"]
    assert rows[0]["sample_size"] == "1200" and rows[0]["notices"] == "retracted" and '"placebo"' in rows[0]["citation"]
    assert rows[1]["design"] == rows[1]["finding"] == ""
