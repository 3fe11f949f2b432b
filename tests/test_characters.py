"""Invisible characters, accents, and letters that have two forms."""

from search.article import AbstractSection, Article, embedding_text
from search.characters import composed, visible, without_accents
from search.normalize import folded_words, journal_key, name_key
from search.storage.bm25 import lexical_text, words

HIDDEN = "ana\u00adlysis of haemo\u200bglobin in Sjo\u0308gren\u2060's syn\u200cdrome\ufeff"


def test_what_is_searched_has_no_invisible_characters():
    article = Article(pmid=1, title=HIDDEN, abstract=(AbstractSection("pla\u00adcebo"),))
    assert embedding_text(article) == "analysis of haemoglobin in Sj\u00f6gren's syndrome placebo"
    assert lexical_text(article) == embedding_text(article)
    assert words(HIDDEN) == words("analysis of haemoglobin in Sj\u00f6gren's syndrome")
    assert folded_words(HIDDEN) == ["analysis", "of", "haemoglobin", "in", "sjogren", "s", "syndrome"]
    assert visible("plain") == "plain"


def test_letters_and_accents_are_one():
    assert composed("Sjo\u0308gren \u212b") == "Sj\u00f6gren \u00c5"
    assert without_accents("Sj\u00f6gren\u2019s \u00e9tude na\u00efve") == "Sjogren\u2019s etude naive"


def test_headings_and_journals_match_without_accents():
    assert (
        name_key("Sj\u00f6gren's  Syndrome") == name_key("sjogren's syndrome") == name_key("Sjo\u0308gren's Syndrome")
    )
    assert journal_key("Anales espa\u00f1oles de Pediatr\u00eda") == journal_key("Anales Espanoles de Pediatria")
