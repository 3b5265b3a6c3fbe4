"""What completes and checks what OCPP 2.x stations are asked for, a module a noun."""
