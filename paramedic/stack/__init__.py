"""`paramedic up`: the processes on this machine, the embedded Prefect server among them."""
