"""What masks score against a truth, what each part of the method is worth, and what a frame costs."""
