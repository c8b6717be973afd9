"""Synthetic photos: masks of cars, the version that holds the photos, what is refused."""
