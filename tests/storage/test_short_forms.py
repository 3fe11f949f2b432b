"""Short forms and their long forms are learned as Schwartz and Hearst do."""

import pytest

from search.storage.short_forms import short_form_keys, short_forms


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("after acute myocardial infarction (MI).", [("MI", "myocardial infarction")]),
        ("chronic obstructive pulmonary disease (COPD) and", [("COPD", "chronic obstructive pulmonary disease")]),
        ("HRT (hormone replacement therapy) was", [("HRT", "hormone replacement therapy")]),
        ("C-reactive protein (CRP, mg/L)", [("CRP", "C-reactive protein")]),
        ("serum interleukin-6 (IL-6)", [("IL-6", "interleukin-6")]),
        ("messenger RNA (mRNA)", [("mRNA", "messenger RNA")]),
        ("the RNA of RNA (RNA)", []),  # the long form holds the short one as a word
        ("heat shock transcription factor (HSF)", [("HSF", "heat shock transcription factor")]),
        ("was high (mean 5)", []),
        ("it failed. Trials (MI)", []),
        ("(MI)", []),
        ("Angiotensin-converting enzyme (ACE) inhibitors", [("ACE", "Angiotensin-converting enzyme")]),
        ("two [x] units (TU)", []),
    ],
)
def test_pairs(text, pairs):
    assert list(short_forms(text)) == pairs


def test_pairs_are_exact_values():
    text = "Interleukin-6 (IL-6) in Sjögren's syndrome (SS); see (SS)."
    assert list(short_form_keys(text)) == ["abbr:il_6/interleukin_6", "abbr:ss/sjogren_s_syndrome"]
