"""Measures the bridge, and of what instrumentation costs an app: ``python -m benchmarks``."""
