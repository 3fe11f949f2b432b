"""NLM's services: PubMed or a part of it in an index, kept as NLM has it."""

from search.pubmed.subset import Part, make_part

__all__ = ["Part", "make_part"]
