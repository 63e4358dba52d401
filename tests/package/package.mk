# SPDX-License-Identifier: MIT
# The ways in which the server is brought to machines.
package_tests = tests/package/deb.sh tests/package/docker.sh
LONG_TESTS += $(package_tests)
EXTRA_DIST += $(package_tests) tests/package/docker.py \
	contrib/docker/Dockerfile contrib/docker/Dockerfile.dockerignore
clean-local: clean-package-work
.PHONY: clean-package-work
clean-package-work:
	rm -rf tests/package/work tests/package/docker-work
