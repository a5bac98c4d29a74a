"""The target ``score``: scores of addresses."""
