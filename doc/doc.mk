# SPDX-License-Identifier: MIT
# openapi.json and asyncapi.json are also embedded in the program, which
# serves them.
doc_documents = doc/openapi.json doc/asyncapi.json
dist_doc_DATA = README doc/api.md doc/architecture.md doc/console.md \
	doc/metrics.md doc/operations.md \
	$(doc_documents)
dist_doc_DATA += contrib/chatapi.conf

doc_generated = src/worker/docs.gen.c
CLEANFILES += $(doc_generated)
EXTRA_DIST += doc/embed.sh

src/worker/docs.gen.c: $(doc_documents) doc/embed.sh
	$(AM_V_at)$(MKDIR_P) src/worker
	$(AM_V_GEN)(cd $(srcdir) && AWK='$(AWK)' $(SHELL) doc/embed.sh \
	    openapi=doc/openapi.json asyncapi=doc/asyncapi.json) >$@.new && \
	    mv $@.new $@
