"""The score embed: scores of addresses."""
