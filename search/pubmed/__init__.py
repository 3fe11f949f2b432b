"""NLM's services: PubMed or a part of it in an index, kept as NLM has it."""

from search.pubmed.subset import Part

__all__ = ["Part"]
