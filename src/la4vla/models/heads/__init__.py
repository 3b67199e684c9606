"""Heads: tokens in, a loss per sample or an action chunk out."""
