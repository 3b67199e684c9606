"""Segmenters: episodes in, atomic segments out."""
