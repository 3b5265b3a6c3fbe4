"""Benchmarks: scripts that measure, never tests that a slow machine could fail."""
