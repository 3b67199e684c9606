"""Policies in plain torch: normalizer, backbone and head. This room knows no trainer."""
