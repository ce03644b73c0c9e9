"""MM-RealSR, CUGAN, RWSR-EDL and HR-aware: their configs, presets and losses."""
