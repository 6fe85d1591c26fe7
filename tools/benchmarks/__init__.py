"""Speed and memory, as ratios of two programs in one run, and detection rates of the audit."""
