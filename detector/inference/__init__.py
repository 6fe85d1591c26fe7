"""A saved model applied to images: predictions, Grad-CAM, lung masks; may import `cluster` and what lies below."""
