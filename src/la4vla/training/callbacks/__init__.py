"""What a recipe may ask to happen around training."""
