"""Each collection of radiographs, read into entries of one kind; may import `images` and what lies below."""
