"""The image generation: users, credits, and a slow provider."""
