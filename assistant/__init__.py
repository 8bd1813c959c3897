"""A question becomes passages, passages become a cited answer."""
