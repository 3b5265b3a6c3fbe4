"""What completes and checks the requests of OCPP 1.6 before they are stored, a module a noun."""
