"""Asking a vision-language model for atomic segments: frames, request, answer, bill."""
