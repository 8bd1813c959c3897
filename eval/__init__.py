"""A case becomes an answer, an answer becomes a scored row."""
