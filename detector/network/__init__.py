"""VGG16, heads on its features, model files, heat maps; may import `datasets` and what lies below."""
