"""Attacks: random companies, edits, faults and stops, and a table that has to be right."""
