"""Measurements; run as `python -m benchmarks.network`, `.pipeline`, `.against`. Results are in RESULTS.md."""
