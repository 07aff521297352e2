"""Reading what can be read out of a damaged file, page by page, without SQLite's help."""
