"""NLM XML: each odd thing that a record may hold, in a record written for it."""

import re
from datetime import date

import pytest
from source_files import a_set, one, read, record

from search.article import (
    AbstractSection,
    AccessionNumber,
    Article,
    ArticleId,
    Author,
    Book,
    Correction,
    Deletion,
    Grant,
    Journal,
    Keyword,
    MeshHeading,
    MeshQualifier,
    OtherAbstract,
    PartialDate,
    PublicationType,
    Substance,
    SupplementaryConcept,
)

URI = "http://www.w3.org/1998/Math/MathML"
MML = f'xmlns:mml="{URI}"'


# Text


@pytest.mark.parametrize(
    ("title", "text"),
    [
        ("CO<sub>2</sub> at 10<sup>-3</sup> <i>in <b>vivo</b></i>.", "CO2 at 10^-3 in vivo."),
        ("10<sup>6</sup>, 2<sup>10</sup> wells, 10<sup>6\u20138</sup>/L", "10^6, 2^10 wells, 10^6\u20138/L"),
        ("10<sup> \u22128 </sup>; 1.5\u00d710<sup>9</sup>/L; 2<sup>n</sup>", "10^\u22128; 1.5\u00d710^9/L; 2^n"),
        ("3<sup>2</sup>5 is odd", "3^2 5 is odd"),
        ("m<sup>2</sup>, Ca<sup>2+</sup>, SO<sub>4</sub><sup>2-</sup>", "m2, Ca2+, SO42-"),
        ("1<sup>st</sup>, 37<sup>o</sup>C, <sup>18</sup>F-FDG, &alpha;<sup>2</sup>", "1st, 37oC, 18F-FDG, \u03b12"),
        ("shown before<sup>1,2</sup>, and shape<sup>7-9</sup>.", "shown before 1,2, and shape 7-9."),
        ("feathers<sup>1</sup> in trials.<sup>3</sup> More", "feathers 1 in trials. 3 More"),
        ("DNA<sup>1, 3\u20135</sup> in 2010<sup>1,2</sup>", "DNA 1, 3\u20135 in 2010 1,2"),
        ("Sjo\u0308gren, 5 \u212bngstrom", "Sj\u00f6gren, 5 \u00c5ngstrom"),
        ("A &amp; B &lt; C &#945; &#x3b2; &quot;d&quot; &apos;e&apos;", "A & B < C α β \"d\" 'e'"),
        ("  two\n\t lines\u00a0and\u2009thin  spaces ", "two lines and thin spaces"),
        ("<![CDATA[a < b & c]]> d", "a < b & c d"),
        ("before<!-- </PubmedArticle> --> after<?pi x?>", "before after"),
        ("5 > 4", "5 > 4"),
        ("&alpha;-catenin&nbsp;in &beta;", "α-catenin in β"),
        ("[Der Titel.]", "[Der Titel.]"),
        ('<span class="x">any</span> <unknown>markup</unknown>', "any markup"),
        ("a<i/>b<sup></sup>c", "abc"),
        ("æøå 漢字 \U0001f600", "æøå 漢字 \U0001f600"),
    ],
)
def test_all_text_of_a_title_as_a_reader_sees_it(tmp_path, title, text):
    assert one(tmp_path, f"<ArticleTitle>{title}</ArticleTitle>").title == text
    abstract = f"<Abstract><AbstractText>{title}</AbstractText></Abstract>"
    assert one(tmp_path, abstract).abstract == (AbstractSection(text),)


@pytest.mark.parametrize(
    ("formula", "text"),
    [
        ("<msub><mi>PM</mi><mn>2.5</mn></msub>", "PM2.5"),
        ("<msup><mn>10</mn><mrow><mo>-</mo><mn>6</mn></mrow></msup>", "10^-6"),
        ("<msup><mi>Ca</mi><mrow><mn>2</mn><mo>+</mo></mrow></msup>", "Ca2+"),
        ("<msup><mi>e</mi><mrow><mi>a</mi><mo>/</mo><mi>b</mi></mrow></msup>", "e^(a/b)"),
        ("<msubsup><mi>x</mi><mi>i</mi><mn>2</mn></msubsup>", "xi^2"),
        ("<mfrac><mrow><mi>a</mi><mo>+</mo><mi>b</mi></mrow><mn>2</mn></mfrac>", "(a+b)/2"),
        ("<msqrt><mi>x</mi><mo>+</mo><mn>1</mn></msqrt>", "√(x+1)"),
        ("<mroot><mi>x</mi><mn>3</mn></mroot>", "3√(x)"),
        ("<mover><mi>V</mi><mo>.</mo></mover><mi>O</mi>", "V\u0307O"),
        ("<munderover><mo>∑</mo><mi>i</mi><mi>n</mi></munderover>", "∑in"),
        ("<mfenced><mi>a</mi><mi>b</mi></mfenced>", "(a,b)"),
        ("<mmultiscripts><mi>Xe</mi><mprescripts/><none/><mn>129</mn></mmultiscripts>", "129Xe"),
        ("<mtable><mtr><mtd><mn>1</mn></mtd><mtd><mn>2</mn></mtd></mtr></mtable>", "1, 2"),
        ("<mi>a</mi>\n<mo>\u2062</mo> <mi>b</mi><mspace/><mtext> if</mtext>", "ab if"),
        ("<semantics><mi>p</mi><annotation>\\pi</annotation></semantics>", "p"),
    ],
)
def test_formulas_are_readable_text(tmp_path, formula, text):
    prefixed = re.sub("<(/?)", r"<\1mml:", formula)
    for math in (f"<mml:math {MML}>\n {prefixed} \n</mml:math>", f'<math xmlns="{URI}">{formula}</math>'):
        assert one(tmp_path, f"<ArticleTitle>Of {math}, measured</ArticleTitle>").title == f"Of {text}, measured"


def test_a_prefix_that_only_the_set_or_the_dtd_declares(tmp_path):
    title = "<ArticleTitle>x <mml:math><mml:mi>y</mml:mi></mml:math> z</ArticleTitle>"
    assert one(tmp_path, title).title == "x y z"


def test_a_displayed_formula_stands_apart(tmp_path):
    text = f"As<DispFormula><mml:math {MML}><mml:mi>E</mml:mi></mml:math></DispFormula>shows"
    assert one(tmp_path, f"<Abstract><AbstractText>{text}</AbstractText></Abstract>").abstract_text == "As E shows"


def test_sections_with_labels_and_categories(tmp_path):
    abstract = (
        '<Abstract><AbstractText Label="AIM &amp;  SCOPE" NlmCategory="OBJECTIVE">One.</AbstractText>'
        '<AbstractText Label="" NlmCategory="UNASSIGNED">Two.</AbstractText><AbstractText Label="EMPTY"/>'
        "<AbstractText>Three.</AbstractText><CopyrightInformation>© Us</CopyrightInformation></Abstract>"
    )
    article = one(tmp_path, abstract)
    assert article.abstract == (
        AbstractSection("One.", "AIM & SCOPE", "OBJECTIVE"),
        AbstractSection("Two.", None, "UNASSIGNED"),
        AbstractSection("Three."),
    )
    assert article.copyright == "© Us"


def test_an_abstract_without_sections(tmp_path):
    assert one(tmp_path, "<Abstract>All in\none.</Abstract>").abstract == (AbstractSection("All in one."),)
    assert (
        one(tmp_path, "<Abstract>Own.<CopyrightInformation>C</CopyrightInformation></Abstract>").abstract_text == "Own."
    )


def test_several_abstracts(tmp_path):
    others = (
        '<OtherAbstract Type="Publisher" Language="fre"><AbstractText Label="BUT">Un.</AbstractText>'
        "<CopyrightInformation>©</CopyrightInformation></OtherAbstract>"
        '<OtherAbstract Type="plain-language-summary"><AbstractText>Plain.</AbstractText></OtherAbstract>'
        '<OtherAbstract Type="KIE"><AbstractText/></OtherAbstract>'
    )
    assert one(tmp_path, citation=others).other_abstracts == (
        OtherAbstract((AbstractSection("Un.", "BUT"),), "Publisher", "fre", "©"),
        OtherAbstract((AbstractSection("Plain."),), "plain-language-summary", "eng"),
    )


def test_the_vernacular_title_stands_in_for_a_missing_one(tmp_path):
    both = "<ArticleTitle>[The thing].</ArticleTitle><VernacularTitle>La <i>chose</i>.</VernacularTitle>"
    article = one(tmp_path, both)
    assert (article.title, article.vernacular_title) == ("[The thing].", "La chose.")
    article = one(tmp_path, "<ArticleTitle/><VernacularTitle>La chose.</VernacularTitle>")
    assert (article.title, article.vernacular_title) == ("La chose.", "La chose.")


# Dates


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        ("<Year>2004</Year>", PartialDate(2004)),
        ("<Year>2004</Year><Month>Mar</Month>", PartialDate(2004, 3)),
        ("<Year>2004</Year><Month>03</Month><Day>07</Day>", PartialDate(2004, 3, 7)),
        ("<Year>2004</Year><Month>September</Month><Day>31</Day>", PartialDate(2004, 9, 31)),
        ("<Year>1990</Year><Season>Spring</Season>", PartialDate(1990, season="Spring")),
        ("<Year>2004</Year><Month>13</Month><Day>7</Day>", PartialDate(2004)),
        ("<Year>n.d.</Year>", PartialDate()),
        ("<MedlineDate>1998 Dec-1999 Jan</MedlineDate>", PartialDate(1998, 12, medline_date="1998 Dec-1999 Jan")),
        ("<MedlineDate>2000 Fall-Win</MedlineDate>", PartialDate(2000, season="Fall", medline_date="2000 Fall-Win")),
        ("<MedlineDate>1976-77 Fall</MedlineDate>", PartialDate(1976, season="Fall", medline_date="1976-77 Fall")),
        ("<MedlineDate>1999 Dec 25-31</MedlineDate>", PartialDate(1999, 12, 25, medline_date="1999 Dec 25-31")),
        ("<MedlineDate>1978-1979</MedlineDate>", PartialDate(1978, medline_date="1978-1979")),
        ("<MedlineDate>Winter 1985</MedlineDate>", PartialDate(1985, season="Winter", medline_date="Winter 1985")),
        ("<MedlineDate>1st Quart 2001</MedlineDate>", PartialDate(2001, medline_date="1st Quart 2001")),
        ("<MedlineDate>2019 Sep/Oct</MedlineDate>", PartialDate(2019, 9, medline_date="2019 Sep/Oct")),
        ("<MedlineDate>undated</MedlineDate>", PartialDate(medline_date="undated")),
    ],
)  # fmt: skip
def test_dates_of_publication_in_every_form(tmp_path, inner, expected):
    journal = (
        f"<Journal><JournalIssue><PubDate>{inner}</PubDate></JournalIssue></Journal><ArticleTitle>T</ArticleTitle>"
    )
    assert one(tmp_path, journal).publication_date == expected


def day(tag, year, month, number, attributes=""):
    return f"<{tag} {attributes}><Year>{year}</Year><Month>{month}</Month><Day>{number}</Day></{tag}>"


def test_the_dates_of_the_record(tmp_path):
    history = day("PubMedPubDate", 2012, 12, 4, 'PubStatus="entrez"') + day(
        "PubMedPubDate", 2012, 1, 1, 'PubStatus="pubmed"'
    )
    title = "<ArticleTitle>T</ArticleTitle>" + day("ArticleDate", 2011, "02", "09", 'DateType="Electronic"')
    dates = day("DateCompleted", 2013, 2, 30) + day("DateRevised", 2014, "Feb", "28")
    article = one(tmp_path, title, dates, f"<History>{history}</History>")
    assert (article.created, article.completed, article.revised) == (date(2012, 12, 4), None, date(2014, 2, 28))
    assert article.electronic_date == PartialDate(2011, 2, 9)
    older = one(tmp_path, title, day("DateCreated", 2010, 5, 6), f"<History>{history}</History>")
    assert older.created == date(2010, 5, 6)


# People


def test_people_and_groups(tmp_path):
    authors = (
        '<AuthorList CompleteYN="N"><Author ValidYN="Y"><LastName>O&apos;Byrne</LastName><ForeName>Paul M</ForeName>'
        '<Initials>PM</Initials><Suffix>Jr</Suffix><Identifier Source="ORCID">http://orcid.org/0000-0002-1825-009x'
        '</Identifier><AffiliationInfo><Affiliation>A &amp; B.</Affiliation><Identifier Source="GRID">g.1</Identifier>'
        "</AffiliationInfo><AffiliationInfo><Affiliation>The <i>C</i>.</Affiliation></AffiliationInfo></Author>"
        '<Author ValidYN="N"><LastName>Wrong</LastName></Author>'
        "<Author><CollectiveName>The Group</CollectiveName></Author>"
        "<Author><LastName>Old</LastName><FirstName>Anna</FirstName><MiddleName>B</MiddleName><Affiliation>D.</Affiliation>"
        '<NameID Source="ORCID">0000000218250097</NameID></Author></AuthorList>'
    )
    investigators = "<InvestigatorList><Investigator><LastName>In</LastName></Investigator></InvestigatorList>"
    article = one(tmp_path, f"<ArticleTitle>T</ArticleTitle>{authors}", investigators)
    assert article.authors == (
        Author("O'Byrne", "Paul M", "PM", "Jr", orcid="0000-0002-1825-009X", affiliations=("A & B.", "The C.")),
        Author(collective_name="The Group"),
        Author("Old", "Anna B", orcid="0000-0002-1825-0097", affiliations=("D.",)),
    )
    assert article.authors_complete is False
    assert article.investigators == (Author("In"),)


def test_the_one_affiliation_of_older_records_is_the_first_authors(tmp_path):
    authors = "<AuthorList><Author><LastName>A</LastName></Author><Author><LastName>B</LastName></Author></AuthorList>"
    article = one(tmp_path, f"<ArticleTitle>T</ArticleTitle><Affiliation>Here.</Affiliation>{authors}")
    assert article.authors == (Author("A", affiliations=("Here.",)), Author("B"))
    assert article.authors_complete


# Subjects and links


def test_subjects(tmp_path):
    citation = (
        '<MeshHeadingList><MeshHeading><DescriptorName UI="D1" MajorTopicYN="N" Type="Geographic">A, B</DescriptorName>'
        '<QualifierName MajorTopicYN="Y" UI="Q1">adverse effects</QualifierName>'
        '<QualifierName UI="Q2">use</QualifierName></MeshHeading><MeshHeading>'
        '<DescriptorName UI="D2" MajorTopicYN="Y">C</DescriptorName></MeshHeading></MeshHeadingList>'
        '<SupplMeshList><SupplMeshName Type="Disease" UI="C1">S</SupplMeshName></SupplMeshList>'
        '<KeywordList Owner="NOTNLM"><Keyword MajorTopicYN="Y">k <i>one</i></Keyword><Keyword/></KeywordList>'
        "<KeywordList><Keyword>k two</Keyword></KeywordList>"
        "<ChemicalList><Chemical><RegistryNumber>0</RegistryNumber>"
        '<NameOfSubstance UI="D3">N</NameOfSubstance></Chemical></ChemicalList>'
    )
    types = '<PublicationTypeList><PublicationType UI="D016428">Journal Article</PublicationType></PublicationTypeList>'
    article = one(tmp_path, f"<ArticleTitle>T</ArticleTitle>{types}", citation)
    assert article.mesh_headings == (
        MeshHeading("A, B", "D1", False, (MeshQualifier("adverse effects", "Q1", True), MeshQualifier("use", "Q2"))),
        MeshHeading("C", "D2", True),
    )
    assert article.supplementary_concepts == (SupplementaryConcept("S", "C1", "Disease"),)
    assert article.keywords == (Keyword("k one", True, "NOTNLM"), Keyword("k two", False, "NLM"))
    assert article.substances == (Substance("N", "D3", "0"),)
    assert article.publication_types == (PublicationType("Journal Article", "D016428"),)


def test_databanks_and_grants(tmp_path):
    inner = (
        "<ArticleTitle>T</ArticleTitle><DataBankList><DataBank><DataBankName>ClinicalTrials.gov</DataBankName>"
        "<AccessionNumberList><AccessionNumber>NCT1</AccessionNumber><AccessionNumber>NCT2</AccessionNumber>"
        "</AccessionNumberList></DataBank><DataBank><DataBankName>GENBANK</DataBankName></DataBank></DataBankList>"
        "<GrantList><Grant><GrantID>R01</GrantID><Agency>NCI</Agency></Grant><Grant><Acronym>WT_</Acronym>"
        "<Agency>Wellcome</Agency><Country>United Kingdom</Country></Grant></GrantList>"
    )
    article = one(tmp_path, inner)
    assert article.accession_numbers == (
        AccessionNumber("ClinicalTrials.gov", "NCT1"),
        AccessionNumber("ClinicalTrials.gov", "NCT2"),
        AccessionNumber("GENBANK"),
    )
    assert article.grants == (Grant("R01", agency="NCI"), Grant(None, "WT_", "Wellcome", "United Kingdom"))


def test_identifiers_are_those_of_the_record_itself(tmp_path):
    title = (
        '<ArticleTitle>T</ArticleTitle><ELocationID EIdType="doi" ValidYN="N">10.1/wrong</ELocationID>'
        '<ELocationID EIdType="pii">S1</ELocationID><ELocationID EIdType="doi">doi:10.1/Right</ELocationID>'
    )
    data = (
        '<ArticleIdList><ArticleId IdType="pubmed">1</ArticleId><ArticleId IdType="doi">10.1/right</ArticleId>'
        '<ArticleId IdType="pii">S1</ArticleId><ArticleId IdType="pmc">PMC7</ArticleId><ArticleId>1</ArticleId>'
        '<ArticleId IdType="doi">10.1/another</ArticleId></ArticleIdList><ReferenceList><Reference>'
        '<Citation>C</Citation><ArticleIdList><ArticleId IdType="doi">10.9/cited</ArticleId>'
        '<ArticleId IdType="pmc">PMC9</ArticleId></ArticleIdList></Reference>'
        "<ReferenceList><Title>More</Title></ReferenceList></ReferenceList>"
    )
    others = '<OtherID Source="NLM">PMC7 [Available on 07/01/16]</OtherID><OtherID Source="KIE">5</OtherID>'
    article = one(tmp_path, title, others, data)
    assert (article.doi, article.pmcid) == ("10.1/Right", "PMC7")
    assert article.other_ids == (ArticleId("pii", "S1"), ArticleId("doi", "10.1/another"), ArticleId("KIE", "5"))
    assert article.references == ("10.9/cited",)


def reference(*ids):
    """A Reference with some ids, each as its kind and value."""
    given = "".join(f'<ArticleId IdType="{kind}">{value}</ArticleId>' for kind, value in ids)
    listed = f"<ArticleIdList>{given}</ArticleIdList>" if ids else ""
    return f"<Reference><Citation>C <i>x</i>.</Citation>{listed}</Reference>"


def test_references_are_named_by_pmid_or_else_by_doi_or_pmcid(tmp_path):
    given = [
        reference(("doi", "10.9/A"), ("pubmed", " 11 ")),
        reference(("pubmed", "12")),
        reference(("pmc", "PMC5"), ("doi", "https://doi.org/10.9/b&lt;1&gt;")),
        reference(("pmc", "PMC6")),
        reference(),
        reference(("pubmed", "x12"), ("doi", "10.9/c")),
        reference(("pii", "S5")),
        reference(("pubmed", "0")),
        reference(("doi", "not a doi")),
        reference(("pubmed", "12")),
        reference(("pubmed", "1")),
    ]
    lists = (
        f"<ReferenceList><Title>T</Title>{given[0]}<ReferenceList>{''.join(given[1:])}</ReferenceList></ReferenceList>"
    )
    expected = (11, 12, "10.9/b<1>", "PMC6", "10.9/c")
    for more in ("", "<!-- not plain -->"):
        article = one(
            tmp_path, data=f"<ArticleIdList><ArticleId IdType='doi'>10.1/own</ArticleId></ArticleIdList>{lists}{more}"
        )
        assert article.references == expected
        assert (article.doi, article.pmcid) == ("10.1/own", None)
    until_2018 = "".join(
        f'<CommentsCorrections RefType="{kind}"><RefSource>X</RefSource>{pmid}</CommentsCorrections>'
        for kind, pmid in (("Cites", "<PMID>21</PMID>"), ("CommentOn", "<PMID>22</PMID>"), ("Cites", ""))
    )
    both = one(tmp_path, citation=f"<CommentsCorrectionsList>{until_2018}</CommentsCorrectionsList>", data=lists)
    assert both.references == (21, *expected)
    assert both.corrections == (Correction("CommentOn", "X", 22),)


def test_corrections_of_every_dtd(tmp_path):
    now = (
        '<CommentsCorrectionsList><CommentsCorrections RefType="RetractionIn"><RefSource>J. 2001</RefSource>'
        '<PMID Version="1">77</PMID><Note>n</Note></CommentsCorrections><CommentsCorrections RefType="Cites">'
        "<RefSource>X</RefSource><PMID>5</PMID></CommentsCorrections></CommentsCorrectionsList>"
    )
    assert one(tmp_path, citation=now).corrections == (Correction("RetractionIn", "J. 2001", 77, "n"),)
    until_2008 = "<CommentsCorrections><ErratumIn><RefSource>J. 1999</RefSource></ErratumIn></CommentsCorrections>"
    assert one(tmp_path, citation=until_2008).corrections == (Correction("ErratumIn", "J. 1999"),)


def test_the_journal_and_the_rest(tmp_path):
    inner = (
        '<Journal><ISSN IssnType="Print">1-2</ISSN><JournalIssue><Volume>3</Volume><Issue>4 Suppl</Issue>'
        "</JournalIssue><Title>The J</Title><ISOAbbreviation>J</ISOAbbreviation></Journal>"
        "<ArticleTitle>T</ArticleTitle><Pagination><StartPage>5</StartPage><EndPage>9</EndPage></Pagination>"
        "<Language>eng</Language><Language>fre</Language>"
    )
    info = (
        "<MedlineJournalInfo><Country>Italy</Country><MedlineTA>JJ</MedlineTA><NlmUniqueID>8</NlmUniqueID>"
        "<ISSNLinking>1-3</ISSNLinking></MedlineJournalInfo><CoiStatement>None.</CoiStatement>"
    )
    article = one(tmp_path, inner, info, "<PublicationStatus>ppublish</PublicationStatus>")
    assert article.journal == Journal("The J", "J", "JJ", "1-2", "1-3", "8", "Italy", "Print")
    assert (article.volume, article.issue, article.pages) == ("3", "4 Suppl", "5-9")
    assert article.languages == ("eng", "fre")
    assert (article.coi_statement, article.status, article.publication_status) == ("None.", "MEDLINE", "ppublish")


# Kinds of records and roots


def test_chapters_and_books(tmp_path):
    book = (
        "<Book><Publisher><PublisherName>UW</PublisherName><PublisherLocation>Seattle</PublisherLocation></Publisher>"
        "<BookTitle>Gene<sup>R</sup></BookTitle><PubDate><Year>1993</Year></PubDate>"
        '<AuthorList Type="editors"><Author><LastName>Ed</LastName></Author></AuthorList>'
        '<AuthorList Type="authors"><Author><LastName>Whole</LastName></Author></AuthorList><Volume>2</Volume>'
        "<Edition>3rd</Edition><CollectionTitle>Col</CollectionTitle><Isbn>9780</Isbn><Medium>Internet</Medium></Book>"
    )
    chapter = (
        '<PubmedBookArticle><BookDocument><PMID Version="1">20301295</PMID><ArticleIdList>'
        f'<ArticleId IdType="bookaccession">NBK1</ArticleId></ArticleIdList>{book}<ArticleTitle>Chapter</ArticleTitle>'
        '<Language>eng</Language><AuthorList Type="authors"><Author><LastName>Own</LastName></Author></AuthorList>'
        '<PublicationType UI="D1">Review</PublicationType><Abstract><AbstractText>Text.</AbstractText></Abstract>'
        "<ContributionDate><Year>2007</Year><Month>12</Month><Day>18</Day></ContributionDate>"
        "<DateRevised><Year>2015</Year><Month>1</Month><Day>2</Day></DateRevised></BookDocument>"
        "<PubmedBookData><PublicationStatus>ppublish</PublicationStatus></PubmedBookData></PubmedBookArticle>"
    )
    whole = f"<BookDocument><PMID>3</PMID>{book}</BookDocument>"
    described = Book("GeneR", "UW", "Seattle", "3rd", ("9780",), (Author("Ed"),), "Col", "Internet")
    first, second = read(tmp_path, f"<PubmedBookArticleSet>{chapter}{whole}</PubmedBookArticleSet>")
    assert first == Article(
        pmid=20301295,
        title="Chapter",
        abstract=(AbstractSection("Text."),),
        book=described,
        volume="2",
        publication_date=PartialDate(1993),
        electronic_date=PartialDate(2007, 12, 18),
        revised=date(2015, 1, 2),
        languages=("eng",),
        authors=(Author("Own"),),
        publication_types=(PublicationType("Review", "D1"),),
        other_ids=(ArticleId("bookaccession", "NBK1"),),
        publication_status="ppublish",
    )
    assert (second.title, second.authors, second.book) == ("GeneR", (Author("Whole"),), described)


def test_every_root(tmp_path):
    citation = "<MedlineCitation><PMID>{0}</PMID><Article><ArticleTitle>T</ArticleTitle></Article></MedlineCitation>"
    article = f"<PubmedArticle>{citation}</PubmedArticle>"
    for xml in (
        f"<MedlineCitationSet>{citation}<DeleteCitation><PMID>9</PMID></DeleteCitation></MedlineCitationSet>",
        f"\n<PubmedArticleSet a='b'>\n{article}<DeleteCitation><PMID>9</PMID></DeleteCitation>\n</PubmedArticleSet >",
        f"<!-- c --><PubmedArticleSet><!-- c -->{article}</PubmedArticleSet>{article.format(2)}<?x?>",
    ):
        assert [found.pmid for found in read(tmp_path, xml.format(1))][0] == 1
    assert read(tmp_path, citation.format(4)) == read(tmp_path, article.format(4)) == [Article(pmid=4, title="T")]
    assert read(tmp_path, "<DeleteCitation><PMID>9</PMID><PMID>8</PMID></DeleteCitation>") == [Deletion(9), Deletion(8)]
    assert read(tmp_path, "<PubmedArticleSet></PubmedArticleSet>") == read(tmp_path, "<PubmedArticleSet/>") == []


def test_answers_of_efetch_one_after_the_other(tmp_path):
    doctype = '<!DOCTYPE PubmedArticleSet PUBLIC "-//NLM//DTD a>b//EN" "https://dtd.nlm.nih.gov/x.dtd">'
    answer = a_set(record(pmid="{}")).replace("?>\n", f"?>\n{doctype}\n")
    found = read(tmp_path, answer.format(1) + answer.format(2))
    assert [article.pmid for article in found] == [1, 2]


def test_versions(tmp_path):
    xml = a_set(record()).replace('<PMID Version="1">', '<PMID Version="3">')
    assert [article.version for article in read(tmp_path, xml)] == [3]


def test_records_of_many_kinds_keep_their_order(tmp_path):
    odd = record("<ArticleTitle>a<!-- c -->b</ArticleTitle>", pmid="2")
    raw = record("<ArticleTitle>1 > 0</ArticleTitle>", pmid="3")
    plain = record(pmid="1")
    deleted = "<DeleteCitation><PMID>7</PMID></DeleteCitation>"
    found = read(tmp_path, a_set(plain, odd, raw, plain, deleted, record(pmid="4")))
    assert [entry.pmid for entry in found] == [1, 2, 3, 1, 7, 4]
    assert [entry.title for entry in found if isinstance(entry, Article)] == ["T", "ab", "1 > 0", "T", "T"]
