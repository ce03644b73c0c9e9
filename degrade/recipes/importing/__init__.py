"""Options files of other trainers, made configs of ours."""
