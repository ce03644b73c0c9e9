"""Degradation on the device that trains: the steps of `degrade/ops`, of many images at once, each with its numbers."""
