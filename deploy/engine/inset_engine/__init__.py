"""What the hub may ask of the Docker engine: to run the seats' containers, and nothing else."""
