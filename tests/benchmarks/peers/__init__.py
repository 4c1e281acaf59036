"""The gateway beside its peers: same data, same sender, one run."""
