"""What is shown of an article: the one record of a hit, citations, notices."""
