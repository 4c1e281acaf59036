"""Quota decides: packages, standings, admission and the ledger.  Pure; it knows nobody."""
