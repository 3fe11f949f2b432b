"""Reading PubMed records from files and services."""
