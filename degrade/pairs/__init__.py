"""Real pairs: LR and HR that two cameras, or one at two focal lengths, took of one scene."""
