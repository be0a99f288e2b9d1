"""The schema's history, one file per change in `versions`, applied by `Catalog.upgrade`."""
