"""A local PostgreSQL to load into: from the system where it has one, else from a wheel."""
