"""Benchmarks, and what their outcomes say: success rates, intervals, tables, videos."""
