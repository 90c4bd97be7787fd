"""What Airflow reads of this package: connections, operators, settings."""

from __future__ import annotations

from typing import Any


def get_provider_info() -> dict[str, Any]:
    """
    Describe the provider, in the shape of Airflow's ``provider_info.schema.json``.

    :returns: A new dict at each call.
    """
    package = "airflow_provider_faceswap"
    vendors = {"gptunnel": "GPTunneL", "tengrai": "Tengrai", "piapi": "PiAPI"}
    return {
        "package-name": "airflow-provider-faceswap",
        "name": "Face swap",
        "description": "Generated media and face swaps at GPTunneL, Tengrai and PiAPI, paid once and kept.",
        "integrations": [
            {
                "integration-name": "GPTunneL",
                "external-doc-url": "https://docs.gptunnel.ru",
                "tags": ["service"],
            },
            {"integration-name": "Tengrai", "external-doc-url": "https://docs.tengr.ai", "tags": ["service"]},
            {"integration-name": "PiAPI", "external-doc-url": "https://piapi.ai/docs", "tags": ["service"]},
        ],
        "hooks": [
            {"integration-name": name, "python-modules": [f"{package}.hooks.{vendor}"]}
            for vendor, name in vendors.items()
        ],
        "operators": [
            {"integration-name": name, "python-modules": [f"{package}.operators.{vendor}"]}
            for vendor, name in vendors.items()
        ]
        + [
            {
                "integration-name": "GPTunneL",
                "python-modules": [
                    f"{package}.operators.faceswap",
                    f"{package}.operators.batch",
                    f"{package}.operators.archive",
                    f"{package}.operators.balance",
                ],
            }
        ],
        "sensors": [{"integration-name": "GPTunneL", "python-modules": [f"{package}.sensors.job"]}],
        "triggers": [{"integration-name": "GPTunneL", "python-modules": [f"{package}.triggers.job"]}],
        "extra-links": [f"{package}.links.{name}" for name in ("ResultLink", "ArchivedLink", "ManifestLink")],
        "connection-types": [
            {
                "connection-type": "gptunnel",
                "hook-class-name": f"{package}.hooks.gptunnel.GPTunnelHook",
                "hook-name": "GPTunneL",
                "ui-field-behaviour": _form("https://gptunnel.ru"),
                "conn-fields": {
                    "use_wallet_balance": {
                        "label": "Pay from the wallet",
                        "description": "On: your personal wallet pays. Off: the organisation of the key pays.",
                        "schema": {"type": ["boolean", "null"]},
                    },
                    "auth_scheme": {
                        "label": "Authorization scheme",
                        "description": "Leave empty: the vendor takes the bare key. "
                        "A proxy may want a word before it, such as Bearer.",
                        "schema": {"type": ["string", "null"]},
                    },
                    "webhook": _WEBHOOK,
                    "requests_per_second": _RATE,
                },
            },
            {
                "connection-type": "tengrai",
                "hook-class-name": f"{package}.hooks.tengrai.TengraiHook",
                "hook-name": "Tengrai",
                "ui-field-behaviour": _form("https://api.tengr.ai"),
                "conn-fields": {"webhook": _WEBHOOK, "requests_per_second": _RATE},
            },
            {
                "connection-type": "piapi",
                "hook-class-name": f"{package}.hooks.piapi.PiAPIHook",
                "hook-name": "PiAPI",
                "ui-field-behaviour": _form("https://api.piapi.ai"),
                "conn-fields": {
                    "service_mode": {
                        "label": "Service mode",
                        "description": "public: paid as you go. private: accounts of your own that PiAPI hosts.",
                        "schema": {
                            "type": ["string", "null"],
                            "enum": ["public", "private", None],
                            "values_display": {"null": "as the workspace is set"},
                        },
                    },
                    "webhook": _WEBHOOK,
                    "webhook_secret": {
                        "label": "Webhook secret",
                        "description": "Goes to PiAPI with each job that has a webhook, and comes back in the "
                        "x-webhook-secret header of its call.",
                        "schema": {"type": ["string", "null"], "format": "password"},
                    },
                    "requests_per_second": _RATE,
                },
            },
        ],
        "cli": [f"{package}.cli.definition.get_commands"],
        "config": {
            "faceswap": {
                "description": "Settings of airflow-provider-faceswap.",
                "options": {
                    "allowed_private_hosts": _option(
                        "Hosts, comma separated, that result downloads may reach although they are private or "
                        "plain http: a sandbox, a proxy. Any other must be a public https address.",
                        kind="string",
                        default="",
                        example="127.0.0.1,media-proxy.internal",
                    ),
                    "ledger_uri": _option(
                        "Where the records that make a job paid once are kept on an Airflow without a task state "
                        "store (before 3.3): a folder in object storage that outlives workers. Unset there, a "
                        "retry may pay for a second job.",
                        kind="string",
                        default="",
                        example="s3://conn_id@bucket/faceswap-ledger",
                    ),
                    "max_archive_bytes": _option(
                        "The largest result, in bytes, that the archive takes where max_bytes is not given.",
                        kind="integer",
                        default="268435456",
                        example=None,
                    ),
                },
            }
        },
    }


_WEBHOOK: dict[str, Any] = {
    "label": "Webhook URL",
    "description": "The vendor calls it when a job has ended. Results are asked for all the same.",
    # It often carries a token.
    "schema": {"type": ["string", "null"], "format": "password"},
}


_RATE: dict[str, Any] = {
    "label": "Requests per second",
    "description": "At most so many creates and questions from one process; 0.5 is one every two seconds. "
    "Empty: no limit.",
    "schema": {"type": ["number", "null"], "exclusiveMinimum": 0},
}


def _form(base_url: str) -> dict[str, Any]:
    """
    What these vendors know: a key, and an address for proxies and the sandbox.

    The port can be seen although it is rarely wanted: on Airflow 3.3.2 the form's *Test* refuses a stored
    connection that has none.
    """
    return {
        "hidden-fields": ["login", "schema"],
        "relabeling": {"password": "API key", "host": "Base URL"},
        "placeholders": {
            "host": f"{base_url} (default)",
            "password": "the key that the vendor gave you",
            "port": "443 (default); Airflow 3.3.2 wants it for Test",
        },
    }


def _option(description: str, *, kind: str, default: str, example: str | None) -> dict[str, Any]:
    return {
        "description": description,
        "version_added": "0.1.0",
        "type": kind,
        "example": example,
        "default": default,
    }
