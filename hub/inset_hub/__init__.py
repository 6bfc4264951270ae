"""What Inset adds to a stock JupyterHub: its seats and their spawners."""
