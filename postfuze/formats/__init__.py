"""How instants are shown; for `FORMAT_MODULE_PATH`."""
