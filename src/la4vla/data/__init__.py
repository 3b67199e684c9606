"""Demonstrations in shards, windows out of them, and mixtures of both."""
