"""A whole platform on one machine: private broker, private database, mail sink and the four services.

Nothing here is patched by eventlet, and nothing is imported at this level: `deploy.local.setup` runs on a
Python without any of the dependencies.
"""
