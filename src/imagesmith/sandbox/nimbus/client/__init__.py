"""The cloud client: started by `cloud-client.sh`, short-lived, and built of what Python itself brings.

Texts, streams and exit codes are those of Nimbus's own cloud client (of its release 2.10).
"""
