# SPDX-License-Identifier: MIT
# The program that sends webhooks; the only one that has to do with libcurl.

# What does without libcurl, in the library for the unit tests.
courier_sources = \
	src/courier/absence.c src/courier/absence.h \
	src/courier/retry.c src/courier/retry.h \
	src/courier/sign.c src/courier/sign.h \
	src/courier/tenants.c src/courier/tenants.h \
	src/courier/trouble.c src/courier/trouble.h \
	src/courier/view.c src/courier/view.h src/courier/view_int.h

pkglibexec_PROGRAMS = chatapi-courier
chatapi_courier_SOURCES = \
	src/courier/bus.c src/courier/bus.h \
	src/courier/courier.c src/courier/courier.h \
	src/courier/deliver.c src/courier/deliver.h \
	src/courier/libcurl.c src/courier/libcurl.h \
	src/courier/main.c \
	src/courier/names.c src/courier/names.h \
	src/courier/outbox.c src/courier/outbox.h \
	src/courier/post.c src/courier/post.h \
	src/courier/retention.c src/courier/retention.h \
	src/courier/webhook.c src/courier/webhook.h
chatapi_courier_CPPFLAGS = $(AM_CPPFLAGS) $(CURL_CFLAGS)
chatapi_courier_LDADD = $(LDADD)
