"""Writes the configuration of every service: sections as mappings, in the order in which they stand in the file."""

import shutil

from .names import DOMAIN, REGION
from .place import LOOPBACK

COMPUTE_HOST = "fake-live-1"


def write(path, sections):
    lines = []
    for section, values in sections.items():
        lines.append(f"[{section}]")
        lines += [f"{key} = {value}" for key, value in values.items()]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    path.chmod(0o600)


class Configuration:
    """All files below the place's `conf` folder."""

    def __init__(self, place):
        self.place = place
        self.memcached = f"{LOOPBACK}:{place.ports['memcached']}"
        self.shipped = place.programs.parent / "etc"

    def login(self, user, **more):
        """How a service logs in at Keystone."""
        return {
            "auth_url": self.place.url("keystone"), "auth_type": "password", "username": user,
            "password": self.place.password, "user_domain_name": DOMAIN, "project_name": "service",
            "project_domain_name": DOMAIN, **more}

    def tokens(self, user, service):
        """How keystonemiddleware in a service validates tokens; its cache is as in production.

        Without the service's type it takes no application credential that is bound to access rules.
        """
        return {
            **self.login(user), "www_authenticate_uri": self.place.url("keystone"), "memcached_servers": self.memcached,
            "service_type": service, "service_token_roles": "service", "service_token_roles_required": "true"}

    @property
    def cache(self):
        return {"enabled": "true", "backend": "dogpile.cache.pymemcache", "memcache_servers": self.memcached}

    def locks(self, service):
        return {"lock_path": self.place.folder(service, "lock")}

    def write_all(self):
        for service in ("keystone", "glance", "placement", "neutron", "nova"):
            name = "glance-api" if service == "glance" else service
            write(self.place.configuration / service / f"{name}.conf", getattr(self, service)())
        # Nova looks for it beside its own file, whatever that says.
        shutil.copy(self.shipped / "nova" / "api-paste.ini", self.place.configuration / "nova")

    def keystone(self):
        keys = self.place.folder("keystone")
        return {
            "DEFAULT": {"use_stderr": "true"},
            "database": {"connection": self.place.database("keystone"), "max_pool_size": 10},
            # Longer than any run, so that no test ends by the clock.
            "token": {"provider": "fernet", "expiration": 36000},
            "fernet_tokens": {"key_repository": keys / "fernet"},
            "credential": {"key_repository": keys / "credential"},
            "cache": self.cache,
            "oslo_middleware": {"enable_proxy_headers_parsing": "true"},
            # The cheapest rounds there are: passwords here guard nothing, and every login costs them.
            "identity": {"password_hash_rounds": 4},
            "oslo_policy": {"enforce_scope": "true", "enforce_new_defaults": "true"},
        }

    def glance(self):
        files = self.place.folder("glance", "images")
        return {
            "DEFAULT": {
                "use_stderr": "true", "enabled_backends": "files:file", "enabled_import_methods": "[]",
                "worker_self_reference_url": self.place.url("glance")},
            "database": {"connection": self.place.database("glance")},
            "paste_deploy": {"flavor": "keystone", "config_file": self.shipped / "glance" / "glance-api-paste.ini"},
            "glance_store": {"default_backend": "files"},
            "files": {"filesystem_store_datadir": files},
            "os_glance_staging_store": {"filesystem_store_datadir": self.place.folder("glance", "staging")},
            "os_glance_tasks_store": {"filesystem_store_datadir": self.place.folder("glance", "tasks")},
            "keystone_authtoken": self.tokens("glance", "image"),
            "oslo_concurrency": self.locks("glance"),
        }

    def placement(self):
        return {
            "DEFAULT": {"use_stderr": "true"},
            "api": {"auth_strategy": "keystone"},
            "placement_database": {"connection": self.place.database("placement")},
            "keystone_authtoken": self.tokens("placement", "placement"),
        }

    def neutron(self):
        return {
            "DEFAULT": {
                "use_stderr": "true", "state_path": self.place.folder("neutron"), "transport_url": self.place.transport,
                "auth_strategy": "keystone", "core_plugin": "ml2", "service_plugins": "router", "host": "neutron-host",
                "api_paste_config": self.shipped / "neutron" / "api-paste.ini", "api_workers": 1, "rpc_workers": 0,
                # There is no agent: nobody to tell, and nobody who would say that a port is up.
                "notify_nova_on_port_status_changes": "false", "notify_nova_on_port_data_changes": "false",
                "allow_automatic_dhcp_failover": "false", "dhcp_agent_notification": "false"},
            "database": {"connection": self.place.database("neutron")},
            "keystone_authtoken": self.tokens("neutron", "network"),
            "oslo_concurrency": self.locks("neutron"),
            "oslo_messaging_notifications": {"driver": "noop"},
            "quotas": {f"quota_{kind}": -1 for kind in ("network", "subnet", "port", "security_group")},
            "ml2": {
                "type_drivers": "local,flat,vlan,vxlan", "tenant_network_types": "local",
                "mechanism_drivers": "openvswitch", "extension_drivers": "port_security"},
            "securitygroup": {"enable_security_group": "true", "firewall_driver": "noop"},
        }

    def nova(self):
        """One file for the API, conductor, scheduler and compute."""
        service = {"region_name": REGION}
        return {
            "DEFAULT": {
                "use_stderr": "true", "host": COMPUTE_HOST, "my_ip": LOOPBACK, "state_path": self.place.folder("nova"),
                "transport_url": self.place.transport, "instances_path": self.place.folder("nova", "instances"),
                # Unlike the plain fake driver this one remembers its node, so nova-compute can start a second time.
                "compute_driver": "fake.FakeDriverWithoutFakeNodes",
                "rpc_response_timeout": 20, "vif_plugging_is_fatal": "false", "vif_plugging_timeout": 0,
                "allow_resize_to_same_host": "true",
                # Nothing may change the seeded servers behind our back.
                "sync_power_state_interval": -1, "running_deleted_instance_poll_interval": 0,
                "reclaim_instance_interval": 0},
            "wsgi": {"api_paste_config": self.place.configuration / "nova" / "api-paste.ini"},
            "api_database": {"connection": self.place.database("nova_api"), "max_pool_size": 10},
            "database": {"connection": self.place.database("nova_cell1"), "max_pool_size": 10},
            "keystone_authtoken": {**self.tokens("nova", "compute"), **service},
            "service_user": {**self.login("nova"), "send_service_user_token": "true"},
            "cache": self.cache,
            "glance": {"endpoint_override": self.place.url("glance"), "num_retries": 0},
            "neutron": {**self.login("neutron", **service), "endpoint_override": self.place.url("neutron")},
            "placement": {**self.login("placement", **service), "endpoint_override": self.place.url("placement")},
            "cinder": self.login("nova"),
            "scheduler": {"workers": 1, "discover_hosts_in_cells_interval": 20},
            "conductor": {"workers": 1},
            "oslo_concurrency": self.locks("nova"),
            # As behind any proxy: links are built from Forwarded and X-Forwarded-*.
            "oslo_middleware": {"enable_proxy_headers_parsing": "true"},
            "oslo_messaging_rabbit": {"heartbeat_in_pthread": "false"},
            "oslo_messaging_notifications": {"driver": "noop"},
            "quota": {"instances": -1, "cores": -1, "ram": -1, "key_pairs": 1000, "server_groups": 1000},
            "vnc": {"enabled": "false"},
        }
