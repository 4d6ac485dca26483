"""What the launchers of both servers share: processes, ports, records, restarts."""
