"""Class folders and their manifests: built, drawn, adopted, read; may import `collections` and what lies below."""
