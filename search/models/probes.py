"""Texts that a compiled model is checked and calibrated on. Written for this purpose; they report no real study."""

from __future__ import annotations

import random

__all__ = ["PROBES", "calibration_texts"]

_SENTENCES = (
    "Aspirin is widely used to prevent cardiovascular events, but its effect on colorectal cancer is less certain.",
    "We searched three databases from inception to June and two reviewers screened titles and abstracts independently.",
    "A total of 1,284 patients (mean age 63.2 years, 48% women) were randomly assigned to treatment or placebo.",
    "The primary outcome was death from any cause within 90 days of randomisation.",
    "The hazard ratio was 0.78 (95% CI, 0.61 to 0.99; P=0.04), with no heterogeneity between centres (I2 = 0%).",
    "Knockdown of the receptor in HeLa cells reduced phosphorylation of ERK1/2 and AKT by more than half.",
    "Western blotting and RT-qPCR showed that IL-6, TNF-alpha and MCP-1 were up-regulated in the hippocampus.",
    "Children with asthma who live near busy roads had more visits to the emergency department.",
    "No serious adverse events were reported; nausea and headache were the most common complaints.",
    "The crystal structure at 2.1 angstrom resolution reveals a binding pocket that accommodates the inhibitor.",
    "Nurses described moral distress when visiting was restricted during the pandemic.",
    "Sensitivity and specificity of the rapid antigen test were 71.4% and 99.1%, respectively.",
    "Mice fed a high-fat diet gained weight and developed insulin resistance within eight weeks.",
    "Genome-wide association identified four loci, of which rs429358 in APOE was the strongest.",
    "Treatment of community-acquired pneumonia with a short course of antibiotics is not inferior to a long one.",
    "Magnetic resonance imaging at 3 T was analysed by two radiologists blinded to the clinical data.",
    "Prevalence of depression among medical students varies with the instrument and the cut-off that is chosen.",
    "We report a 54-year-old man with sudden vision loss, in whom giant cell arteritis was confirmed by biopsy.",
    "The minimum inhibitory concentration of vancomycin was 2 mg/L in 12 of 240 MRSA isolates.",
    "Further randomised trials with longer follow-up are needed before this can be recommended in practice.",
    "Exercise training three times a week improved walking distance in people with peripheral artery disease.",
    "A deep learning model predicted sepsis six hours before onset with an area under the curve of 0.87.",
    "Breast-feeding for at least six months was associated with a lower risk of otitis media.",
    "Stroke volume, heart rate and arterial stiffness were measured before and after haemodialysis.",
    "The cost per quality-adjusted life year gained was 18,400 pounds, below the usual threshold.",
    "CD8+ T cells infiltrating the tumour expressed PD-1, TIM-3 and LAG-3 at high levels.",
    "Vaccination coverage fell in rural districts, where the distance to a clinic exceeds 20 km.",
    "Polymorphisms of CYP2C19 change how clopidogrel is activated and may explain treatment failure.",
    "Bone mineral density of the lumbar spine did not differ between vitamin D and placebo after two years.",
    "The questionnaire showed good internal consistency (Cronbach's alpha 0.88) and test-retest reliability.",
    "Zebrafish larvae lacking the gene have fewer dopaminergic neurons and swim more slowly.",
    "Opioid prescriptions after dental extraction decreased from 32% to 9% over the decade.",
)

#: Short, long and odd texts on which a compiled model must agree with sentence-transformers.
PROBES = (
    "Aspirin",
    "Does taking aspirin lower the risk of bowel cancer?",
    "Efficacy of a once-weekly 2.4 mg injection in adults with overweight: a randomised, double-blind trial.",
    "β-Catenin–TCF4 signalling & naïve CD4+ T-cells, IL-1β ≥ 5 µg/mL; p < .05",
    " ".join(_SENTENCES),
    "",
)


def calibration_texts(count: int) -> list[str]:
    """Return `count` texts of the length of abstracts, always the same ones, put together from the sentences."""
    chooser = random.Random(0)
    return [" ".join(chooser.sample(_SENTENCES, chooser.randint(4, 14))) for _ in range(count)]
