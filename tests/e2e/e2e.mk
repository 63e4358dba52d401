# SPDX-License-Identifier: MIT
# Tests of the whole program: real processes, real sockets.
TESTS += tests/e2e/e2e.sh
LONG_TESTS += tests/e2e/long.sh

EXTRA_DIST += \
	tests/e2e/browser.py \
	tests/e2e/chat.py \
	tests/e2e/check \
	tests/e2e/checker/__init__.py \
	tests/e2e/checker/__main__.py \
	tests/e2e/checker/actor.py \
	tests/e2e/checker/acts.py \
	tests/e2e/checker/audit.py \
	tests/e2e/checker/conn.py \
	tests/e2e/checker/device.py \
	tests/e2e/checker/faults.py \
	tests/e2e/checker/frames.py \
	tests/e2e/checker/log.py \
	tests/e2e/checker/looks.py \
	tests/e2e/checker/main.py \
	tests/e2e/checker/plan.py \
	tests/e2e/checker/report.py \
	tests/e2e/checker/stewards.py \
	tests/e2e/checker/truth.py \
	tests/e2e/checker/web.py \
	tests/e2e/checker/world.py \
	tests/e2e/client.py \
	tests/e2e/conf.py \
	tests/e2e/conftest.py \
	tests/e2e/contract.py \
	tests/e2e/contract_cases.py \
	tests/e2e/control.py \
	tests/e2e/e2e.sh \
	tests/e2e/faults.py \
	tests/e2e/harness.py \
	tests/e2e/load.py \
	tests/e2e/hook.py \
	tests/e2e/long.sh \
	tests/e2e/many.py \
	tests/e2e/metrics.py \
	tests/e2e/powercut.py \
	tests/e2e/pytest.ini \
	tests/e2e/raw.py \
	tests/e2e/run \
	tests/e2e/samples.py \
	tests/e2e/strace.py \
	tests/e2e/test_acks.py \
	tests/e2e/test_backup.py \
	tests/e2e/test_channels.py \
	tests/e2e/test_check.py \
	tests/e2e/test_checker.py \
	tests/e2e/test_big_room.py \
	tests/e2e/test_client_js.py \
	tests/e2e/test_clock.py \
	tests/e2e/test_console.py \
	tests/e2e/test_console_files.py \
	tests/e2e/test_compat.py \
	tests/e2e/test_confine.py \
	tests/e2e/test_contract_files.py \
	tests/e2e/test_contract_table.py \
	tests/e2e/test_cors.py \
	tests/e2e/test_courier.py \
	tests/e2e/test_dead_letters.py \
	tests/e2e/test_demo.py \
	tests/e2e/test_disk.py \
	tests/e2e/test_dm_race.py \
	tests/e2e/test_doc_site.py \
	tests/e2e/test_durable.py \
	tests/e2e/test_idempotency.py \
	tests/e2e/test_jwt.py \
	tests/e2e/test_kill.py \
	tests/e2e/test_keys.py \
	tests/e2e/test_limits.py \
	tests/e2e/test_listen_unix.py \
	tests/e2e/test_long.py \
	tests/e2e/test_lost.py \
	tests/e2e/test_metrics.py \
	tests/e2e/notices.py \
	tests/e2e/test_notifications.py \
	tests/e2e/test_notify_crowd.py \
	tests/e2e/test_power_cut.py \
	tests/e2e/test_presence.py \
	tests/e2e/test_presence_churn.py \
	tests/e2e/test_proxy.py \
	tests/e2e/test_rate_limit.py \
	tests/e2e/test_receipts.py \
	tests/e2e/test_rest_edit.py \
	tests/e2e/test_respawn.py \
	tests/e2e/test_rest_errors.py \
	tests/e2e/test_rest_http.py \
	tests/e2e/test_rest_list.py \
	tests/e2e/test_rest_members.py \
	tests/e2e/test_rest_messages.py \
	tests/e2e/test_rest_room_change.py \
	tests/e2e/test_rest_rooms.py \
	tests/e2e/test_rest_trim.py \
	tests/e2e/test_resume.py \
	tests/e2e/test_seam.py \
	tests/e2e/test_settings.py \
	tests/e2e/test_samples.py \
	tests/e2e/test_slow_many.py \
	tests/e2e/test_slow_reader.py \
	tests/e2e/test_start.py \
	tests/e2e/systemd.py \
	tests/e2e/test_systemd.py \
	tests/e2e/test_subscriptions.py \
	tests/e2e/test_tenants.py \
	tests/e2e/test_tls.py \
	tests/e2e/test_tool.py \
	tests/e2e/test_trim.py \
	tests/e2e/test_user.py \
	tests/e2e/test_webhooks.py \
	tests/e2e/test_ws_answers.py \
	tests/e2e/test_ws_changes.py \
	tests/e2e/test_ws_live.py \
	tests/e2e/test_ws_protocol.py \
	tests/e2e/test_ws_sync.py \
	tests/e2e/test_ws_token.py \
	tests/e2e/tls.py \
	tests/e2e/tokens.py

CLEANFILES += tests/e2e/e2e.junit.xml tests/e2e/long.junit.xml
clean_targets += clean-e2e-logs
.PHONY: clean-e2e-logs
clean-e2e-logs:
	rm -rf tests/e2e/logs tests/e2e/client-js
