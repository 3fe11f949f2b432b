"""Finding articles: search, filters, fusion, similar articles."""
