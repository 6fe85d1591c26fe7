"""Image files and their pixels, and what can be done to pixels; may import `cli` and what lies below."""
