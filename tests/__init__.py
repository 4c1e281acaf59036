"""The tests: one folder per package, beside the tidy tests of the tree itself."""
