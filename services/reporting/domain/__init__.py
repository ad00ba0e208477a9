"""Rules of the read models: merging, what counts as a change, and how figures are worded and drawn."""
