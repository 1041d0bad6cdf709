"""What masks score against a truth, and what each part of the method is worth."""
