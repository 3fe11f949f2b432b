"""Study designs, sample sizes and registry numbers: by NLM's types where they say it, else by the words."""

import pytest
from msgspec import structs

from search.article import AbstractSection, AccessionNumber, Article, Correction, MeshHeading, PublicationType
from search.study import DESIGNS, design_of, registry_numbers, sample_size


def article(title="", text="", types=(), mesh=()):
    return Article(
        pmid=1,
        title=title,
        abstract=(AbstractSection(text),) if text else (),
        publication_types=tuple(map(PublicationType, types)),
        mesh_headings=tuple(map(MeshHeading, mesh)),
    )


@pytest.mark.parametrize(
    ("found", "design"),
    [
        (article("A cohort study.", types=["Journal Article", "Randomized Controlled Trial"]), "randomized trial"),
        (article(types=["Review", "Meta-Analysis", "Systematic Review"]), "meta-analysis"),
        (article("Statins: a systematic review.", types=["Review"]), "systematic review"),
        (article("Statins.", "Patients were randomly assigned.", types=["Review"]), "review"),
        (article("Metformin.", "This review describes trials. Patients were randomly assigned to placebo."), "review"),
        (article("Tics.", "This paper reviews treatment. In one double-blind trial, pimozide was better."), "review"),
        (article("Review of randomized controlled trials of garlic."), "review"),
        (article("Garlic: a meta analysis of randomized trials."), "meta-analysis"),
        (article("Bupropion in placebo-controlled trials: case reports."), "case report"),
        (article(text="This review of 120 patients covers ten years; charts were reviewed retrospectively."), "cohort"),
        (article(types=["Clinical Trial, Phase II"]), "clinical trial"),
        (article(text="Patients were randomly assigned to A or B.", types=["Clinical Trial"]), "randomized trial"),
        (article(types=["Letter"]), "comment"),
        (article(mesh=["Humans", "Case-Control Studies"]), "case-control"),
        (article("Aspirin in rats", mesh=["Animals", "Rats"]), "animal"),
        (article("Aspirin for zebra bites: a randomised controlled trial"), "randomized trial"),
        (article("Mendelian randomized analysis of urate."), None),
        (article("Protocol for a randomised trial of aspirin"), "protocol"),
        (article(text="Forty women were randomized to receive aspirin."), "randomized trial"),
        (article(text="We searched MEDLINE and Embase from 1990."), "systematic review"),
        (article(text="We retrospectively reviewed the notes of 40 men."), "cohort"),
        (article(text="A questionnaire was sent to 400 nurses."), "cross-sectional"),
        (article(text="We report the case of a 40-year-old man."), "case report"),
        (article(text="This article reviews what is known of zinc."), "review"),
        (article(text="The drug was given to mice."), "animal"),
        (article(text="Apoptosis was seen in HeLa cell lines."), "in vitro"),
        (article(text="Embase was re\u00adsearched."), "systematic review"),
        (article(text="Allocation by randomisation, double-blind to both, into two groups."), "randomized trial"),
        (article(text="Infants\u2013all\u2013were randomised."), "randomized trial"),
        (article(text="Cases and 40 matched controls were seen."), "case-control"),
        (article(text="A population-based analysis of gout."), "cohort"),
        (article(text="It is a non-randomised comparison."), "clinical trial"),
        (article(text="The causes are briefly summarised."), "review"),
        (article(text="It was seen in \u03b2rats and in C. elegans."), "animal"),
        (article(text="The rate in pirates and ratings."), None),
        (article("Zinc deficiency.", "Zinc is a metal."), None),
        (article("Erratum: zinc in colds, a randomised trial.", "Patients were randomly assigned."), None),
        (article("Retraction: Zinc in rats"), None),
        (article("Correction of astigmatism: a cohort study"), "cohort"),
        (article("Zinc: a randomised trial.", types=["Published Erratum"]), None),
        (article("Zinc: a randomised trial.", types=["Retracted Publication"]), "randomized trial"),
        (article('Comment on "Zinc: a randomised trial"'), "comment"),
        (article("Two-year follow-up study of a scaffold in a goat model"), "animal"),
        (article("Zinc in colds: an overview", "To review the literature, a MEDLINE search was made."), "review"),
        (article(text="To review the role of zinc. Trials were randomly assigned to readers."), "review"),
        (article(text="To review our records of 40 men."), None),
        (article(text="The single blind trial compared zinc with placebo."), "randomized trial"),
        (article(text="We report three cases of colic during a randomised controlled trial of zinc."), "case report"),
        (article(text="To describe a patient with zinc poisoning."), "case report"),
        (article("Zinc: a consensus document of the Society"), "guideline"),
        (article(text="Medical records of 40 men with gout were analysed."), "cohort"),
    ],
)
def test_designs(found, design):
    assert design_of(found) == design
    assert design is None or design in DESIGNS


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("One hundred and fifty patients with colic were divided.", 150),
        ("A total of 1,204 women were enrolled.", 1204),
        ("Thirty-eight patients with heart failure were referred.", 38),
        ("We randomised 412 adults. Of these, 40 patients withdrew.", 412),
        ("There were 60 patients in one group. In all, 118 patients were included.", 118),
        ("They had 9 patients in one arm and 12 subjects in the other.", 12),
        ("Treatment (n = 20) was compared with placebo (n = 22).", 42),
        ("Patients aged 40 to 60 years were seen at 12 hospitals.", None),
        ("In 30% of patients and 2.5 women a year.", None),
        ("The rate was 3 per 1,000.", None),
        ("Of 30 clinics, twenty-one took part: 2 000 children and 45 nurses.", 2000),
        ("It was done in 40 womenfolk and 30 x_men.", None),
        ("The men = 12 and N =1,200.", 1200),
        ("Type 2 diabetic patients were seen, in countries that had >50 patients.", None),
        ("It was investigated in 40 consenting patients after surgery of the foot.", 40),
        ("Of 20 patients, complications were seen in 11 patients including one death.", 20),
        ("Cells of C57Bl/6 mice were taken.", None),
        ("In a cohort of 20 male patients, 2 cases (10%) of colic and 3 (15%) women with gout were seen.", 20),
        ("Women of 50 to 69 years (n=1017) had zinc (n=513) or placebo (n=504).", 1017),
        ("This review is of trials. In one, 300 patients were randomised.", None),
    ],
)
def test_sample_sizes(text, size):
    assert sample_size(article(text=text)) == size


def test_registry_numbers_are_of_the_record_and_of_the_text():
    found = Article(
        pmid=1,
        accession_numbers=(AccessionNumber("ClinicalTrials.gov", "NCT01234567"), AccessionNumber("GENBANK", "X1")),
        abstract=(AbstractSection("See NCT01234567, ISRCTN 12345678 and CRD42020123456."),),
    )
    assert registry_numbers(found) == ("NCT01234567", "ISRCTN12345678", "CRD42020123456")


@pytest.mark.parametrize(
    ("types", "corrections"),
    [
        (["Journal Article", "Retraction of Publication", "Randomized Controlled Trial"], ()),
        (["Published Erratum"], ()),
        (["Journal Article"], (Correction("RetractionOf", "Lancet. 2010", 5),)),
        (["Expression of Concern"], ()),
    ],
)
def test_a_notice_is_no_study(types, corrections):
    told = article("Zinc: a randomised controlled trial.", "96 patients were randomly assigned.", types)
    notice = structs.replace(told, corrections=corrections)
    assert (design_of(notice), sample_size(notice)) == (None, None)
    about = structs.replace(told, publication_types=(), corrections=(Correction("RetractionIn", "Lancet. 2011", 6),))
    assert (design_of(about), sample_size(about)) == ("randomized trial", 96)
