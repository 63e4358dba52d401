# SPDX-License-Identifier: MIT
"""The dashboard and the alerts: each asks for what a server shows, and leads
to a section of the operator's page."""
import json
import re
from pathlib import Path

import pytest

from chat import Chat
from metrics import promtool, scrape

TOP = Path(__file__).resolve().parents[2]
DASHBOARD = json.loads((TOP / "contrib/grafana/chatapi.json").read_text())
ALERTS = (TOP / "contrib/prometheus/alerts.yml").read_text()
# What Grafana puts into a query, and Prometheus into what it scraped.
VARIABLES = {"$__rate_interval": "1m", "$job": "chatapi", "$instance": ".+"}
OF_PROMETHEUS = {"job", "instance"}
SERIES = re.compile(r"\b((?:chatapi_\w+)|up\b)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)(?:=~?|!=|!~)"([^"]*)"')
RATES = {"ops", "reqps", "mps", "cps"}


def panels():
    return [p for p in DASHBOARD["panels"] if p["type"] != "row"]


def queries():
    """(panel, expression, legend), as Prometheus gets the expression."""
    for panel in panels():
        for target in panel["targets"]:
            expr = target["expr"]
            for name, value in VARIABLES.items():
                expr = expr.replace(name, value)
            assert "$" not in expr, (panel["title"], expr)
            yield panel, expr, target["legendFormat"]


def alerts():
    """[(name, its text)]"""
    parts = re.split(r"^ +- alert: (\w+)\n", ALERTS, flags=re.M)[1:]
    return list(zip(parts[::2], parts[1::2]))


def anchors(page):
    """What a page's headings are called in links."""
    text = re.sub(r"^```.*?^```", "", (TOP / "doc" / page).read_text(),
                  flags=re.M | re.S)
    return {re.sub(r"[^\w -]", "", h).strip().lower().replace(" ", "-")
            for h in re.findall(r"^#+ (.+)$", text, re.M)}


@pytest.fixture
async def shown(server, tenant):
    """The metrics of a server that has done something of all."""
    room = tenant.backend().make_room(["ann", "bob"])["room_id"]
    chat = await Chat.connect(tenant, "ann")
    await chat.say(room, "hello")
    await chat.wait_seq(room, 1)
    tenant.backend().post("/notify", {
        "topic": "t", "payload": {}, "targets": {"user_ids": ["ann"]}})
    out = scrape(server)
    await chat.close()
    return out


def test_a_grafana_of_version_9_takes_it():
    assert DASHBOARD["schemaVersion"] >= 36 and DASHBOARD["uid"]
    assert DASHBOARD.get("id") is None
    ids = [p["id"] for p in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids)) > 25
    names = {v["name"] for v in DASHBOARD["templating"]["list"]}
    assert names == {"datasource", "job", "instance", "runbooks"}
    used = set(re.findall(r"\$\{?(\w+)\}?", json.dumps(DASHBOARD)))
    assert used - {"__rate_interval", "__all"} == names
    for panel in panels():
        assert panel["datasource"]["uid"] == "${datasource}"
        assert panel["type"] in ("stat", "timeseries"), panel["type"]
        assert panel["title"] and panel["description"].endswith(".")
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        values = [s["value"] for s in steps]
        assert values[0] is None and values[1:] == sorted(values[1:])


def test_no_two_panels_overlap():
    taken = set()
    for panel in DASHBOARD["panels"]:
        p = panel["gridPos"]
        cells = {(x, y) for x in range(p["x"], p["x"] + p["w"])
                 for y in range(p["y"], p["y"] + p["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells


def test_prometheus_understands_each_query(tmp_path):
    exprs = [expr for _, expr, _ in queries()]
    exprs += [a["expr"].replace("$job", "chatapi").replace("$instance", ".+")
              for a in DASHBOARD["annotations"]["list"]]
    rules = tmp_path / "rules.json"
    rules.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": [
        {"record": f"panel:{i}", "expr": expr}
        for i, expr in enumerate(exprs)]}]}))
    status, said = promtool("check", "rules", str(rules))
    assert status == 0, said
    assert f"{len(exprs)} rules found" in said


def check_series(name, matchers, shown):
    """Such a series is there, with these labels and values."""
    if name == "up":
        assert {m for m, _ in matchers} <= OF_PROMETHEUS
        return
    labels = [dict(have) for (n, have) in shown.values if n == name]
    assert labels, f"there is no {name}"
    for label, value in matchers:
        if label not in OF_PROMETHEUS:
            assert any(have.get(label) == value for have in labels), \
                (name, label, value)


def labels_of(names, shown):
    out = set(OF_PROMETHEUS)
    for (name, have) in shown.values:
        if name in names:
            out |= set(dict(have))
    return out


async def test_each_query_names_what_there_is(shown):
    texts = [(p["title"], expr, legend) for p, expr, legend in queries()]
    texts += [(name, re.search(r"expr: (.+?)\n +(?:for|labels):", text,
                               re.S).group(1), text)
              for name, text in alerts()]
    assert len(texts) > 60
    for title, expr, legend in texts:
        found = SERIES.findall(expr)
        assert found, (title, expr)
        for name, inside in found:
            check_series(name, MATCHER.findall(inside or ""), shown)
        there = labels_of({name for name, _ in found}, shown)
        for named in re.findall(r"\b(?:by|on) \(([^)]*)\)", expr):
            assert set(re.split(r",\s*", named)) <= there, (title, expr)
        for named in re.findall(r"\{\{ ?(?:\$labels\.)?(\w+) ?\}\}", legend):
            assert named in there, (title, named)


async def test_all_that_a_server_shows_is_in_a_panel(shown):
    """A metric that nobody can see is not looked at."""
    text = " ".join(expr for _, expr, _ in queries())
    names = {name for name, _ in SERIES.findall(text)}
    names |= {re.sub(r"_(bucket|sum|count)$", "", n) for n in names}
    left = set(shown.type) - names
    # The version, the start, and sums of what is shown for each worker.
    assert left == {
        "chatapi_build_info", "chatapi_start_time_seconds",
        "chatapi_feeds_behind", "chatapi_bus_queue_bytes",
        "chatapi_worker_operations_pending"}, left


def unit_of(expr):
    """What an expression's values are, by the names in it; None = a plain
    number."""
    if " / " in expr:
        return "percentunit" if 'class="5xx"' in expr else None
    if "histogram_quantile" in expr:
        return "s"
    if "rate(" in expr:
        return "rate"
    name = SERIES.search(expr).group(1)
    if name.endswith("_bytes"):
        return "bytes"
    return "s" if name.endswith("_seconds") else None


def test_units_fit():
    for panel, expr, _ in queries():
        unit = panel["fieldConfig"]["defaults"]["unit"]
        want = unit_of(expr)
        if want == "rate":
            assert unit in RATES, (panel["title"], unit)
        else:
            assert unit == (want or "none"), (panel["title"], unit, expr)


# ---- what to do then ----

def test_each_alert_has_a_runbook():
    there = anchors("operations.md")
    found = alerts()
    assert len(found) >= 14
    page = (TOP / "doc/operations.md").read_text()
    for name, text in found:
        url = re.search(r'runbook_url: "operations/#([\w-]+)"', text)
        assert url, f"{name} has no runbook"
        assert url.group(1) in there, url.group(0)
        # It is found by the alert's name, too.
        assert f"`{name}`" in page, name
    named = set(re.findall(r"`(Chatapi[A-Z]\w+)`", page))
    assert named == {name for name, _ in found}


def test_each_link_of_the_dashboard_leads_to_a_runbook():
    there = anchors("operations.md")
    links = [link["url"] for p in panels() for link in p.get("links", [])]
    assert len(links) > 20
    for url in links:
        start, _, anchor = url.partition("#")
        assert start == "${runbooks}" and anchor in there, url
