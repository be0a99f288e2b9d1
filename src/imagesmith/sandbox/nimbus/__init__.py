"""The Nimbus sites: a factory for workspaces, a Cumulus-shaped image store, and a cloud client that speaks to both.

What a client of the real service must know is what a client of this one sees: its texts, streams and exit codes. Only
the wire between the cloud client and the factory is our own: JSON over TLS with the user's certificate.
"""
