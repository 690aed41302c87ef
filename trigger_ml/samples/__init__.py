"""Samples of events: one module a kind."""
