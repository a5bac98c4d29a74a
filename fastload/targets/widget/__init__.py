"""The embed widget and its render pipeline."""
