"""Simulators, as environments a policy can act in and readers can record from."""
