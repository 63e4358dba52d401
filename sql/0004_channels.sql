-- SPDX-License-Identifier: MIT
-- Schema version 4: a tenant's channels are listed without its other rooms.

CREATE INDEX room_channel ON room (tenant, id) WHERE type = 3;
