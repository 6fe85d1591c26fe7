"""The same features and predictions on many machines, by Ray; may import `network` and what lies below."""
