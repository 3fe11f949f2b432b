"""Sentences of biomedical prose, with their places."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.article import AbstractSection, Article
from search.retrieval.sentences import abstract_sentences, sentence_spans


def cut(text):
    return [text[start:end] for start, end in sentence_spans(text)]


# Each list is the sentences that a person would cut; the text is their join.
@pytest.mark.parametrize(
    "sentences",
    [
        ["We studied rats.", "They slept."],
        ["Drugs (e.g. aspirin, i.e. ASA) vs. placebo were compared.", "Bleeding was rare."],
        ["The mean was 3.5 mg/dL (S.D. 0.4).", "P = 0.05.", "No effect was seen."],
        ["As shown by Smith et al. (2004), E. coli and S. aureus grew.", "B. subtilis did not."],
        ["It was reported by Jones et al.", "The finding was new."],
        ["Results are in Fig. 2 and Figs. 3-5.", "See also Ref. 12."],
        ["Rats received 5 mg/kg i.v. and 2 mg/kg p.o. daily.", "Controls received saline i.p. only."],
        ["Doses were given b.i.d.", "The trial lasted 2 yr.", "Of 40 patients, 3 died."],
        ["Patients lacked vitamin D.", "Supplements helped."],
        ["We tested hepatitis B.", "Vaccines work."],
        ["J. Smith and M. L. King wrote it.", "It is known."],
        ["Dr. Who vs. St. John's wort at approx. 5 °C (ca. 41 °F) in the U.S. market.", "This was odd."],
        ["Expression of the gene fell.", "mRNA was low.", "p53 was mutated.", "miR-21 rose.", "pH was 7.4."],
        ["Does it work?", "Yes!", "It does."],
        ["It fell (P < 0.05. See Table 2) in all.", "Then it rose."],
        ["Survival was 95% (95% CI 90-99%).", "(This is a note.)", '"Quoted."', "Done."],
        ["Candida sp. were found.", "Aspergillus spp. grew in no. 5.", "The rest died."],
        ["Serum was taken at 30 min.", "Plasma was taken at 5 h.", "The end."],
        ["Incubation took 30 min. 5 patients left."],
        ["The value was P < 0. 05 and n = 12."],
        ["The odds were 2.5:1.", "5-HT rose.", "α-Synuclein fell.", "β-blockers helped."],
        ["1. Patients were seen.", "2. Controls were not."],
        ["Aims were as follows: 1. to see; 2. to act."],
        ["Founded by Pfizer Inc. in 1849.", "Genentech Inc. followed."],
        ["See www.nature.com/x.Y for more.", "Write to a.b@c.Org now."],
        ["Патент выдан.", "Опыт завершён."],
    ],
)
def test_sentences(sentences):
    assert cut(" ".join(sentences)) == sentences


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        (
            "BACKGROUND: We asked. METHODS: E. coli grew. RESULTS: It did. MAIN OUTCOME MEASURES: Death.",
            ["We asked.", "E. coli grew.", "It did.", "Death."],
        ),
        ("OBJECTIVE. To see. PATIENTS AND METHODS. We looked.", ["To see.", "We looked."]),
        ("Results: It did. Study design: Cohort.", ["It did.", "Cohort."]),
        ("Methods and results - We looked twice.", ["We looked twice."]),
        ("HIV: a review. DNA: the facts.", ["HIV: a review.", "DNA: the facts."]),
        ("RESULTS:", []),
        ("MAIN OUTCOME MEASURES: Death. LEVEL OF EVIDENCE: 2.", ["Death.", "2."]),
        ("THE RESULTS WERE GOOD. WE AGREE.", ["THE RESULTS WERE GOOD.", "WE AGREE."]),
        ("0 RESULTS: P = 0.05. Rats", ["0 RESULTS: P = 0.05.", "Rats"]),
        ("Patients with asthma: a study.", ["Patients with asthma: a study."]),
    ],
)
def test_labels_inside_the_text_are_not_part_of_a_sentence(text, sentences):
    assert cut(text) == sentences


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Rats had hypoglycaemia.Mean changes were small.", ["Rats had hypoglycaemia.", "Mean changes were small."]),
        (
            "Made in Bridgewater (New Jersey).Eligible rats ran.",
            ["Made in Bridgewater (New Jersey).", "Eligible rats ran."],
        ),
        ("It ended at week 36.Secondary aims failed.", ["It ended at week 36.", "Secondary aims failed."]),
        ("It was safe.; We agree.", ["It was safe.", "We agree."]),
        ("It was safe. • We agree.•They do.", ["It was safe.", "We agree.", "They do."]),
        ("Line one.\n  Line two. ", ["Line one.", "Line two."]),
        ("See ClinicalTrials.gov and Nature.com today.", ["See ClinicalTrials.gov and Nature.com today."]),
    ],
)
def test_damaged_text(text, sentences):
    assert cut(text) == sentences


def test_places_are_in_the_abstract_text_and_sections_are_not_glued():
    article = Article(
        pmid=1,
        abstract=(
            AbstractSection("We asked if it works", "BACKGROUND"),
            AbstractSection("", "EMPTY"),
            AbstractSection("rats were used. n = 5.", "METHODS"),
            AbstractSection(" "),
            AbstractSection("It works. Well.", "RESULTS"),
        ),
    )
    shown = [article.abstract_text[start:end] for start, end in abstract_sentences(article)]
    assert shown == ["We asked if it works", "rats were used. n = 5.", "It works.", "Well."]


_prose = st.lists(
    st.sampled_from(
        ["Rats", "e.g.", "P = 0.05.", "E. coli", "(", ")", ".", "?", " ", "\n", "RESULTS:", "Fig. 2.", "The", "α", "1."]
    )
    | st.text(max_size=4),
    max_size=14,
).map(" ".join)


@settings(max_examples=300, deadline=None)
@given(_prose)
def test_spans_are_in_order_and_cover_all_but_labels(text):
    spans = sentence_spans(text)
    at = 0
    for start, end in spans:
        assert at <= start < end <= len(text)
        assert text[start:end] == text[start:end].strip()
        skipped = re.sub(r"(?i)[a-z\s(,/&-]*results:", "", text[at:start])
        assert not any(map(str.isalnum, skipped)), skipped
        at = end


@settings(max_examples=100, deadline=None)
@given(st.lists(st.builds(AbstractSection, _prose, st.none() | st.just("RESULTS")), max_size=4).map(tuple))
def test_sections_shift_places_and_nothing_else(sections):
    article = Article(pmid=1, abstract=sections)
    shown = [article.abstract_text[start:end] for start, end in abstract_sentences(article)]
    assert shown == [sentence for section in sections for sentence in cut(section.text)]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        (
            "<h3>BACKGROUND:</h3> Aspirin is old. <h3>METHODS</h3> We gave it. <h3>INTERPRETATION:</h3> It helps.</p>",
            ["Aspirin is old.", "We gave it.", "It helps."],
        ),
        ("<p>Background and Aims: Liver. <b>Results</b>: It fell.</p>", ["Liver.", "It fell."]),
        ("Abstract Background COPD is bad. Conclusions In COPD it helps.", ["COPD is bad.", "In COPD it helps."]),
        ("Objective A trial was done. Results 12% fell.", ["A trial was done.", "12% fell."]),
        ("Methods B and C differ. Results of trials differ. <i>E. coli</i> grew.", None),
    ],
)
def test_tags_and_labels_without_a_stop_are_cut_off(text, sentences):
    whole = ["Methods B and C differ.", "Results of trials differ.", "<i>E. coli</i> grew."]
    assert [text[start:end] for start, end in sentence_spans(text)] == (sentences or whole)
