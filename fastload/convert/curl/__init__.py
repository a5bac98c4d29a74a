"""Scripts from commands of curl."""
