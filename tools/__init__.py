"""What maintainers run: benchmarks, fault injection, fitting the lung decoder."""
