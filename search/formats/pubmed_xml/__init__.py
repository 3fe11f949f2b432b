"""NLM's XML of PubMed and MEDLINE."""
