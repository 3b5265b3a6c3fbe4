"""What an operator can measure of a node, in Prometheus' terms, at ``/metrics``."""

import functools

from prometheus_client import Counter, Gauge, Histogram, generate_latest

CONNECTIONS = Gauge("ocpp_connections", "Stations connected to this node")
HANDSHAKES = Counter("ocpp_handshakes_total", "Connection attempts by how they ended", ["result"])
SLOWED = Counter("ocpp_handshakes_slowed_total", "Refusals that were held back because many had failed before")
OPEN_SOCKETS = Gauge("ocpp_open_sockets", "Sockets open at this node, in their handshake or after it")
PAUSES = Counter("ocpp_pauses_total", "Times that a station was not read for a while, by the limit reached", ["limit"])
UNANSWERED = Gauge("ocpp_unanswered_bytes", "Bytes held of messages that are not answered yet, but for a little each")
STALLED = Counter("ocpp_stalled_total", "Connections closed because what they began to send left no room for others")
FLOODS = Counter("ocpp_floods_total", "Connections closed because of a flood of pings or pongs")
TAKEOVERS = Counter("ocpp_takeovers_total", "Connections closed because their station connected anew")
DEAD_PEERS = Counter("ocpp_dead_peers_total", "Connections closed because nothing came any more")

MESSAGES = Counter("ocpp_messages_total", "CALLs from stations by how they were answered", ["action", "result"])
# Finding a counter by its labels takes longer than counting, and each message is counted.
messages = functools.cache(MESSAGES.labels)
MALFORMED = Counter("ocpp_malformed_frames_total", "Frames that could not be understood")
DEVIATIONS = Counter("ocpp_deviations_total", "Deviations from the specification that were overlooked", ["kind"])
UNMATCHED = Counter("ocpp_unmatched_answers_total", "Answers to no open CALL", ["kind"])
CALLS = Counter("ocpp_calls_total", "CALLs to stations by how they ended", ["action", "result"])

BATCHES = Histogram(
    "intake_batch_size", "Units of work committed together", buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500)
)
COMMITS = Histogram(
    "intake_commit_seconds",
    "Time to store and commit a batch",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2, 10),
)
POISONED = Counter("intake_poisoned_total", "Units of work that failed alone")
UNAVAILABLE = Counter("intake_unavailable_total", "Units of work given up because the database was away")

UPDATES_DROPPED = Counter("updates_dropped_total", "Batches of live updates that were not delivered")
REMOVED = Gauge("retention_removed_rows", "Rows that the workers removed for their age, since Redis began", ["table"])
REFUSED = Gauge("rest_refused_requests", "Requests answered 429 as their user sent too many, since Redis began")
RELAY_DOWN = Gauge("relay_down", "1 while Redis does not answer")


def render() -> bytes:
    return generate_latest()
