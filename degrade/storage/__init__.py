"""Where artefacts lie and how they stay whole: disks and object storage, leases, tables, provenance."""
