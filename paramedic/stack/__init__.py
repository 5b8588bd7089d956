"""`paramedic up`: Paramedic's processes on this machine, with the embedded Prefect server."""
