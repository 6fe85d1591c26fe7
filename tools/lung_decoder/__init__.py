"""Fit the lung decoder to lung masks, and measure it."""
