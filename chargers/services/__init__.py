"""What can happen, one module per noun.

A function that the OCPP server calls takes a batch, a sequence of values of one kind and the
changes to note, and returns one result a value, in order; a result may be an exception of
``chargers.errors``, which is that value's alone. It runs inside one database transaction. The
functions for the REST API and the worker take keywords.
"""
