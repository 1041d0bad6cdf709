"""What `vos-batch evaluate` is made of."""
