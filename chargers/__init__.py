"""The domain: stations, connectors, id tags, transactions and what they measure.

It knows no protocol version, no HTTP and no queue: the OCPP server, the REST API and the worker
all call the same services here and translate on their own side.
"""
