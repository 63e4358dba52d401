# SPDX-License-Identifier: MIT
dist_man_MANS = man/chatapi.8 man/chatapi.conf.5 man/chatapi-protocol.7
