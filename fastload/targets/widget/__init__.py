"""The target ``widget``: an embed widget and its render pipeline."""
