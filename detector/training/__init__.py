"""A data set opened for a run, recipes, cross-validation; may import `network` and what lies below."""
