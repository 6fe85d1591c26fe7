"""What maintainers run: benchmarks, fault injection, fuzzing, fitting the lung decoder."""
