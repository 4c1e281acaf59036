"""Storage remembers: the ledger's tables, the archive of objects, the registers."""
