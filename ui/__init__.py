"""What a person touches: the `ask` command."""
