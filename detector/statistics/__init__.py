"""Splits, figures and their intervals; may import `detector` itself only."""
