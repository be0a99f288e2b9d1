"""A small real cloud on one machine: QEMU virtual machines behind the API doors that clients already speak."""
