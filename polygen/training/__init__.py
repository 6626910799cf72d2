"""One step, the loop around it, evaluation and what is written on the way."""
