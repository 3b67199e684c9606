"""Readers: whatever the source of a demonstration, an ``Episode`` comes out."""
