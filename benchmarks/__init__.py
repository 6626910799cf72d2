"""Measures this project on this machine: `python -m benchmarks --help`."""
