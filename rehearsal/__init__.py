"""A synthetic city with known truth that drives the platform through its RPC."""
