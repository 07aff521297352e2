"""The commands of ``otelbridge``, one module each, named for what is typed."""
