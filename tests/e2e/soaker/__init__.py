# SPDX-License-Identifier: MIT
"""Load that comes and goes for half an hour, and what the server's processes
hold meanwhile.

    python -m soaker --minutes 30 --seed 7 --report soak.md

    judge.py    whether a series is flat: no process, no clock, no file
    sampler.py  what each process holds, every five seconds
    tide.py     all actors stop and go on together
    flock.py    hundreds of WebSockets in one thread (client.py: one of them)
    acts.py     backends and users by REST
    odd.py      what is no proper request: garbage, broken handshakes
    tenants.py  tenants, keys and tokens that are made and revoked
    faults.py   what is done to the server: backups, reloads, kill -9
    truth.py    what was acknowledged, to be read back at the end
    world.py    the server, its hook, and the conductor of all this
    report.py   the table

The load is high for some minutes and low for some seconds, in turn: at low
tide every client has gone, so what a process still holds is its own.
"""
