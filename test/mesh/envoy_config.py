"""Envoy's configuration for a Setting of the mesh."""
import json

from sagas import CELLS, STATUSES

TYPE = "type.googleapis.com/envoy.extensions."
MANAGER = TYPE + "filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER = {"name": "envoy.filters.http.router", "typed_config": {"@type": TYPE + "filters.http.router.v3.Router"}}
TLS = TYPE + "transport_sockets.tls.v3.DownstreamTlsContext"


def text(setting, page, elsewhere):
    listeners = [listener("in", setting.port, [*spoken(page, elsewhere), {"match": {"prefix": "/"}, "route": route(setting)}],
                          transport() if setting.tls else None)]
    clusters = [cluster(setting, "up", setting.upstreams)]
    if setting.wrong == "retry-hides-unknown":
        clusters = [cluster(setting, "up", [setting.inner]), cluster(setting, "participant", setting.upstreams)]
        listeners.append(listener("limit", setting.inner, limit(page)))
    return json.dumps({"static_resources": {"listeners": listeners, "clusters": clusters}})


def listener(name, port, routes, socket=None):
    # An attempt is counted by the first proxy, for the second one to read.
    host = {"name": "all", "domains": ["*"], "routes": routes, "include_request_attempt_count": name == "in"}
    manager = {"@type": MANAGER, "stat_prefix": name, "http_filters": [ROUTER], "route_config": {"virtual_hosts": [host]}}
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    return {"name": name, "address": address(port), "filter_chains": [{**chain, **({"transport_socket": socket} if socket else {})}]}


def limit(page):
    """As a rate limit does it that lets the first try pass only."""
    first = {"name": "x-envoy-attempt-count", "string_match": {"exact": "1"}, "treat_missing_header_as_empty": True, "invert_match": True}
    too_many = {"status": 429, "body": {"inline_string": page}}
    return [{"match": {"prefix": "/speak/", "headers": [first]}, "direct_response": too_many},
            {"match": {"prefix": "/"}, "route": {"cluster": "participant"}}]


def address(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def route(setting):
    found = {"cluster": "up", "timeout": f"{setting.seconds}s"}
    if setting.retries:
        # Each try has the time that the whole has elsewhere.
        found.update(timeout="30s", retry_policy={"retry_on": "5xx,reset,connect-failure", "num_retries": 2,
                                                  "per_try_timeout": f"{setting.seconds}s"})
    if setting.mirrors:
        found["request_mirror_policies"] = [{"cluster": "up"}]
    return found


def spoken(page, elsewhere):
    """A route for each call at which a cell has the proxy speak."""
    for status in STATUSES:
        for at in sorted({cell.at for cell in CELLS}):
            phase, attempt = at.split("-")
            match = {"prefix": f"/speak/{status}/{at}/", "headers": [
                {"name": name, "string_match": {"exact": value}} for name, value in (("saga-phase", phase), ("saga-attempt", attempt))]}
            if status == "301":
                yield {"match": match, "redirect": {"https_redirect": True, "host_redirect": elsewhere.split("/")[2]}}
            else:
                yield {"match": match, "direct_response": {"status": int(status), "body": {"inline_string": page}}}


def cluster(setting, name, ports):
    endpoints = [{"endpoint": {"address": address(port)}} for port in ports]
    found = {"name": name, "connect_timeout": "5s", "type": "STATIC",
             "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]}}
    if setting.checks:
        found["health_checks"] = [{"timeout": "1s", "interval": "0.2s", "no_traffic_interval": "0.2s", "unhealthy_threshold": 1,
                                   "healthy_threshold": 1, "http_health_check": {"path": "/readyz"}}]
    return found


def transport():
    files = {"certificate_chain": {"filename": "{folder}/server.pem"}, "private_key": {"filename": "{folder}/server.key"}}
    return {"name": "envoy.transport_sockets.tls", "typed_config": {
        "@type": TLS, "require_client_certificate": True, "common_tls_context": {
            "tls_certificates": [files], "validation_context": {"trusted_ca": {"filename": "{folder}/ca.pem"}}}}}
