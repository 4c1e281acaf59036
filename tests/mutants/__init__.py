"""Mutants of the quota rules (quota.md §14): what the suite must kill."""
