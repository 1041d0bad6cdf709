"""What masks are worth without truth, and what of them a person should look at first."""
