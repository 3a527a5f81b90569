"""Singer tap that reads every QuickBooks Online object whole."""
