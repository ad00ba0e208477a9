"""Where and how the platform runs: on one machine (`deploy.local`) and elsewhere."""
