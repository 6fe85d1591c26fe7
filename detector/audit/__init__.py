"""Experiments, figures and checks that tell what was learnt; may import `training` and what lies below."""
