"""Files of NLM XML for the tests of reading, and what is read from them."""

import pytest

from search.article import Article
from search.errors import SourceError
from search.formats.open import open_source


def read(tmp_path, xml, name="records.xml"):
    path = tmp_path / name
    path.write_bytes(xml if isinstance(xml, bytes) else xml.encode())
    return list(open_source(path))


def read_until_problem(tmp_path, xml):
    """Return what was read, and the message of the error that ended the reading."""
    path = tmp_path / "records.xml"
    path.write_bytes(xml if isinstance(xml, bytes) else xml.encode())
    found = []
    with pytest.raises(SourceError, match=str(path)) as problem:
        for record in open_source(path):
            found.append(record)
    return found, str(problem.value)


def record(article="<ArticleTitle>T</ArticleTitle>", citation="", data="", pmid="1"):
    return (
        f'<PubmedArticle><MedlineCitation Status="MEDLINE"><PMID Version="1">{pmid}</PMID>'
        f"<Article>{article}</Article>{citation}</MedlineCitation><PubmedData>{data}</PubmedData></PubmedArticle>"
    )


def a_set(*records):
    return f'<?xml version="1.0"?>\n<PubmedArticleSet>\n{"".join(records)}\n</PubmedArticleSet>\n'


def one(tmp_path, *parts, **named):
    (article,) = read(tmp_path, a_set(record(*parts, **named)))
    assert isinstance(article, Article), article
    return article
