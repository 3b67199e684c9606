"""Policies acting in worlds: environments, agents and the runner that brings them together."""
