"""Image files and their pixels, and what can be done to pixels; may import `command_line` and what lies below."""
