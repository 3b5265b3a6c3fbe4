"""Charging stations that exist only as sockets: for tests, for the demo and for trying the platform out."""
