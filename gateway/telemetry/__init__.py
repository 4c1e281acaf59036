"""Metrics and logs, without patients."""
