"""Experiments, validity checks and conclusions on a model; may import `training` and what lies below."""
