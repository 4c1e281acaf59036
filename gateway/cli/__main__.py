"""`python -m gateway.cli` is `tollgate`."""

from __future__ import annotations

from gateway.cli import main

if __name__ == "__main__":
    main()
