"""How degradations are drawn: the recipes of the papers, their presets, and options files of other trainers."""
