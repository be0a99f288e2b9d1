"""The database that remembers: generators' versions, builds, targets, steps, resources and images."""
