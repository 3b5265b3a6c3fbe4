"""Commands to stations and live updates to frontends: what the web process, the worker and the csms share."""
