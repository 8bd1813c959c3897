"""A note becomes chunks, chunks become vectors, vectors live in one index that always says what the folder says."""
