"""The layouts of datasets: read and written here and nowhere else."""
