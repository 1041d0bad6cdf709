"""A run: what is missing is planned, segmented by workers, and committed by the one driver."""
