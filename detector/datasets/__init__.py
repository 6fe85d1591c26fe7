"""Class folders and their manifests: built, sampled, written, read; may import `collections` and what lies below."""
