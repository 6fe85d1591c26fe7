"""Kill, starve and damage the scripts, and count what is lost."""
