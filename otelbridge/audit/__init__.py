"""Lines kept for the record: each is bound to the one before it by a hash."""
