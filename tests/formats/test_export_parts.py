"""Clean text, pages and names."""

import pytest

from search.article import Author
from search.formats.citation_fields import expand_pages, given_name, page_range
from search.normalize import clean


@pytest.mark.parametrize(
    ("pages", "expanded", "first_and_last"),
    [
        ("123-9", "123-129", ("123", "129")),
        ("1453-4", "1453-1454", ("1453", "1454")),
        ("2308-10", "2308-2310", ("2308", "2310")),
        ("5795-813", "5795-5813", ("5795", "5813")),
        ("99-100", "99-100", ("99", "100")),
        ("S12-5", "S12-S15", ("S12", "S15")),
        ("S12-S15", "S12-S15", ("S12", "S15")),
        ("e225-6", "e225-e226", ("e225", "e226")),
        ("10", "10", ("10", "")),
        ("e1501164", "e1501164", ("e1501164", "")),
        ("mbcE22120560", "mbcE22120560", ("mbcE22120560", "")),
        ("iv-vii", "iv-vii", ("iv", "vii")),
        ("964-971.e5", "964-971.e5", ("964", "971.e5")),
        ("1788; discussion 1791", "1788; discussion 1791", ("1788; discussion 1791", "")),
        ("123-9, 145-7", "123-129, 145-147", ("123-129, 145-147", "")),
        ("616-7; author reply 617-8", "616-617; author reply 617-618", ("616-617; author reply 617-618", "")),
        ("19-12", "19-12", ("19", "12")),
        ("S1-3-5", "S1-3-5", ("S1-3-5", "")),
        ("123\u20139", "123-129", ("123", "129")),
        ("12-A5", "12-A5", ("12", "A5")),
        ("100-10", "100-110", ("100", "110")),
        (None, "", ("", "")),
    ],
)
def test_pages(pages, expanded, first_and_last):
    assert expand_pages(pages) == expanded
    assert page_range(pages) == first_and_last


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("a\nb\r\n\tc  d ", "a b c d"),
        ("a\x00b\x1bc\x7f\x9f", "abc"),
        ("a\u2028b\u2029c\x85d", "a b c d"),
        ("\ufeffx\u202ey\u2066z", "xyz"),
        ("10\u00a0mg \u2009 \u200d", "10\u00a0mg \u2009 \u200d"),
        ("\ud800x", "x"),
        ("a \x00 b", "a b"),
        (None, ""),
    ],
)
def test_clean(text, cleaned):
    assert clean(text) == cleaned == clean(cleaned)


@pytest.mark.parametrize(
    ("author", "given"),
    [
        (Author("Smith", "John A", "JA"), "John A"),
        (Author("Smith", None, "JA"), "J A"),
        (Author("Smith", None, "J-P"), "J-P"),
        (Author("Smith", None, "Iu"), "Iu"),
        (Author("Smith"), ""),
    ],
)
def test_given_names(author, given):
    assert given_name(author) == given
