"""Source against destination: what is compared, how a difference is explained or mended."""
