"""The page on which people rate segments, and what is behind it."""
