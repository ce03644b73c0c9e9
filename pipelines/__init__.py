"""The command line, configuration, executors, and the builds that tie the stages together."""
