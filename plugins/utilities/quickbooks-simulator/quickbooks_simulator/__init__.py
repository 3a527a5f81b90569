"""A local QuickBooks Online to talk to."""
