"""Singer target for PostgreSQL: records stay bytes, and the newest version wins."""
