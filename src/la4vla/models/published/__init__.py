"""Checkpoints that others published: their names, their folders, and their arithmetic where it differs from ours."""
