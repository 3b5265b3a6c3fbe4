"""The OCPP server: one asyncio loop a process, any number of processes side by side."""
