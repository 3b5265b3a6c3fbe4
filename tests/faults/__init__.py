"""What the platform goes through: processes, servers, disks, networks and stations that fail under load.

`load.py` is a fleet that charges and remembers what it was told is stored, `faults.py` the table of
what is done to the platform, `audit.py` what must be true afterwards. `python -m tests.faults` goes
on at random for as long as it is told (``make soak``); `test_faults.py` is a quick round.
"""
