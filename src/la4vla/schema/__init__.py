"""The shared nouns. Everything here needs numpy and torch, nothing else."""
