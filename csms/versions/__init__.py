"""The OCPP versions: each translates its payloads to the domain's values and back."""
