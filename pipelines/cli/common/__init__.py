"""What the commands share: the options that mean the same in all of them, and the types of options."""
