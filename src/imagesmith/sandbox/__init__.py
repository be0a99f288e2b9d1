"""A small real cloud on one machine: QEMU virtual machines behind API doors that clients already speak."""
