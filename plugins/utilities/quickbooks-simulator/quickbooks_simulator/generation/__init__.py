"""The made-up books of a company: every row from (seed, entity, slot)."""
