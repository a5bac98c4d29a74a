"""The target ``plain``: answers 200 and does nothing else."""
