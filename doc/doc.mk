# SPDX-License-Identifier: MIT
# openapi.json and asyncapi.json are also embedded in the program, which
# serves them.
doc_documents = doc/openapi.json doc/asyncapi.json
doc_pages = doc/api.md doc/architecture.md doc/benchmarks.md \
	doc/clients.md doc/console.md doc/getting-started.md \
	doc/guide-moving.md doc/guide-tenants.md doc/guide-tokens.md \
	doc/guide-webhooks.md doc/index.md doc/metrics.md doc/operations.md \
	doc/websocket.md
dist_doc_DATA = README $(doc_pages) $(doc_documents) contrib/chatapi.conf

doc_generated = src/worker/docs.gen.c
CLEANFILES += $(doc_generated)
EXTRA_DIST += doc/embed.sh

src/worker/docs.gen.c: $(doc_documents) doc/embed.sh
	$(AM_V_at)$(MKDIR_P) src/worker
	$(AM_V_GEN)(cd $(srcdir) && AWK='$(AWK)' $(SHELL) doc/embed.sh \
	    openapi=doc/openapi.json asyncapi=doc/asyncapi.json) >$@.new && \
	    mv $@.new $@

# The pages as one static site: `make doc`, in doc/html.
docimgdir = $(docdir)/img
dist_docimg_DATA = doc/img/console-chat.png doc/img/console-operator.png \
	doc/img/console-wire.png \
	doc/img/message.svg doc/img/plot-cpu.svg \
	doc/img/plot-fanout.svg doc/img/plot-messages.svg \
	doc/img/plot-recovery.svg doc/img/processes.svg
EXTRA_DIST += doc/figures.json doc/mkdocs.yml doc/plot.py doc/reference.py \
	doc/site.css doc/site.sh

.PHONY: doc
doc:
	$(AM_V_GEN)PYTHON='$(PYTHON)' $(SHELL) $(srcdir)/doc/site.sh \
	    '$(srcdir)' doc/html

clean_targets += clean-doc
.PHONY: clean-doc
clean-doc:
	-rm -rf doc/html doc/html.tmp
