"""What a run is on the disk: what it is of, its checkpoints, its log, its model."""
