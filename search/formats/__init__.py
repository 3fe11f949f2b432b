"""Read and write the formats of bibliographic records, one format a file."""
