"""A workspace's states, as the service and the cloud client name them."""

UNPROPAGATED = "Unpropagated"
PROPAGATED = "Propagated"
RUNNING = "Running"
SAVING = "ReadyingForTransport"
SAVED = "TransportReady"
CORRUPTED = "Corrupted"
