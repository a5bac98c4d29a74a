"""The target ``generation``: image generation with users, credits, and a slow provider."""
