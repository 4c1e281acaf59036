"""The gateway speaks to the outside and composes the rest."""
