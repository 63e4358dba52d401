# SPDX-License-Identifier: MIT
# The program that sends webhooks; the only one that is linked with libcurl.
# courier_sources: what does without it, in the library for the unit tests.
courier_sources =

pkglibexec_PROGRAMS = chatapi-courier
chatapi_courier_SOURCES = \
	src/courier/bus.c src/courier/bus.h \
	src/courier/courier.c src/courier/courier.h \
	src/courier/main.c
chatapi_courier_CPPFLAGS = $(AM_CPPFLAGS) $(CURL_CFLAGS)
chatapi_courier_LDADD = $(LDADD) $(CURL_LIBS)
