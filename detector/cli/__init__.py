"""Arguments, printed lines and exit status of every script; may import `files` and `statistics`."""
