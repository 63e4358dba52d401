# SPDX-License-Identifier: MIT
"""A randomised checker: many clients, random actions, killed processes.

  plan     what happens, as a function of the seed
  world    tenants, users, devices, rooms; the rounds of traffic and calm
  device   one client that keeps its state over connections
  conn     one connection of it, and what must hold on each
  frames   the form of every server frame
  truth    what clients did, were told and have seen
  actor    a device in traffic; acts and looks: what it does and reads
  stewards what the backends do with rooms and members
  notes    notifications: what the backends tell, and who has heard it
  hooks    the tenants' webhook endpoints, and what must come there
  faults   processes killed and started again
  log      the database, read directly when nothing moves
  audit    everything compared with the log
  web      REST requests of which any may lose its answer
  report   the journal, and how a failure is told

A failure names the seed.  The order of each actor's actions and of the
faults is a function of the seed; how they interleave is not.
"""
