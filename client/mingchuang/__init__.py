"""For other systems: a typed RPC client without eventlet, and the command line `mingchuang`."""
