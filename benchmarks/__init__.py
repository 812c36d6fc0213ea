"""Measurements; run as `python -m benchmarks.network` and so on. Results are in RESULTS.md."""
