"""Tests that start Meltano and PostgreSQL."""
