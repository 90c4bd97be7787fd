"""Provider metadata that Airflow reads: connection forms, operators, settings."""

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
        "description": "Face swaps and generated images from GPTunneL, Tengrai and PiAPI: "
        "each job is paid for once and its result is archived.",
        "versions": ["0.1.0"],
        "integrations": [
            {
                "integration-name": "Face swap",
                "external-doc-url": "https://github.com/airflow-provider-faceswap/airflow-provider-faceswap",
                "logo": "/docs/integration-logos/faceswap.svg",
                "how-to-guide": _guides(
                    "failover",
                    "image-anywhere",
                    "batch",
                    "chains",
                    "archive",
                    "approval",
                    "balance",
                    "budgets",
                    "reuse",
                    "backfill",
                    "job-sensor",
                    "taskflow",
                    "webhook",
                ),
                "tags": ["software"],
            },
            {
                "integration-name": "GPTunneL",
                "external-doc-url": "https://docs.gptunnel.ru",
                "how-to-guide": _guides(
                    "gptunnel-face-swap",
                    "gptunnel-image",
                    "gptunnel-generate",
                    "gptunnel-imagine",
                    "gptunnel-upsample",
                    "gptunnel-variation",
                    "gptunnel-inpaint",
                ),
                "tags": ["service"],
            },
            {
                "integration-name": "Tengrai",
                "external-doc-url": "https://docs.tengr.ai",
                "how-to-guide": _guides("tengrai-face-swap", "tengrai-artwork"),
                "tags": ["service"],
            },
            {
                "integration-name": "PiAPI",
                "external-doc-url": "https://piapi.ai/docs",
                "how-to-guide": _guides("piapi-face-swap", "piapi-video-face-swap", "piapi-task"),
                "tags": ["service"],
            },
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
                "integration-name": "Face swap",
                "python-modules": [
                    f"{package}.operators.faceswap",
                    f"{package}.operators.generate",
                    f"{package}.operators.batch",
                    f"{package}.operators.archive",
                    f"{package}.operators.publish",
                    f"{package}.operators.balance",
                ],
            }
        ],
        "sensors": [{"integration-name": "Face swap", "python-modules": [f"{package}.sensors.job"]}],
        "triggers": [{"integration-name": "Face swap", "python-modules": [f"{package}.triggers.job"]}],
        "extra-links": [
            f"{package}.links.{name}"
            for name in ("ResultLink", "ArchivedLink", "ManifestLink", "GalleryLink")
        ],
        "connection-types": [
            {
                "connection-type": "gptunnel",
                "hook-class-name": f"{package}.hooks.gptunnel.GPTunnelHook",
                "hook-name": "GPTunneL",
                "ui-field-behaviour": _form("https://gptunnel.ru"),
                "conn-fields": {
                    "use_wallet_balance": {
                        "label": "Pay from the personal wallet",
                        "description": "On: charge your personal wallet. Off: charge the API key's organisation.",
                        "schema": {"type": ["boolean", "null"]},
                    },
                    "auth_scheme": {
                        "label": "Authorization scheme",
                        "description": "Leave empty for GPTunneL, which expects the bare key. "
                        "A proxy may need a scheme before it, such as Bearer.",
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
                        "description": "public: pay as you go. private: your own accounts, hosted by PiAPI.",
                        "schema": {
                            "type": ["string", "null"],
                            "enum": ["public", "private", None],
                            "values_display": {"null": "Workspace default"},
                        },
                    },
                    "webhook": _WEBHOOK,
                    "webhook_secret": {
                        "label": "Webhook secret",
                        "description": "Sent with each job that has a webhook. PiAPI returns it in the "
                        "x-webhook-secret header of its call.",
                        "schema": {"type": ["string", "null"], "format": "password"},
                    },
                    "requests_per_second": _RATE,
                },
            },
        ],
        "plugins": [
            {"plugin-class": f"{package}.gallery.plugin.FaceSwapPlugin", "name": "faceswap"},
        ],
        "cli": [f"{package}.cli.definition.get_commands"],
        "config": {
            "faceswap": {
                "description": "Settings of airflow-provider-faceswap.",
                "options": {
                    "allowed_local_paths": _option(
                        "Comma-separated folders of the worker's disk that picture arguments and the items of a "
                        "batch may be read from. Empty: none. Without it, whoever may trigger a Dag could have any "
                        "picture on the disk sent to a vendor.",
                        kind="string",
                        default="",
                        example="/data/pictures,/mnt/shared/faces",
                    ),
                    "allowed_private_hosts": _option(
                        "Comma-separated hosts that downloads may reach even if they are private or use plain "
                        "http, such as a sandbox or a proxy. All other hosts must be public and use https.",
                        kind="string",
                        default="",
                        example="127.0.0.1,media-proxy.internal",
                    ),
                    "ledger_uri": _option(
                        "Folder in object storage for the records that prevent paying twice. It must outlive the "
                        "workers. Airflow before 3.3 has no other place for them: without it, a retry may pay for "
                        "a second job. Airflow 3.4 deletes its own copy when a task is cleared; this one is kept.",
                        kind="string",
                        default="",
                        example="s3://conn_id@bucket/faceswap-ledger",
                    ),
                    "budget": _option(
                        "The budget that job operators and batches buy from if they name none, as JSON: uri, amount, unit, and "
                        "optionally per (run, day, month, ever), timezone, warn_at and on_warning. A list has one for "
                        "each unit. Empty: there is no cap.",
                        kind="string",
                        default="",
                        example='{"uri": "s3://conn_id@bucket/budgets/all", "amount": 5000, "unit": "RUB", "per": "day"}',
                    ),
                    "gallery_roots": _option(
                        "Comma-separated folders and buckets, as archive tasks write to them, with the connection if "
                        "they name one. The gallery opens only files below them. Empty: it opens none.",
                        kind="string",
                        default="",
                        example="s3://aws_default@my-bucket/swaps,file:///data/swaps",
                    ),
                    "max_archive_bytes": _option(
                        "Largest result, in bytes, that the archive accepts if max_bytes is not set.",
                        kind="integer",
                        default="268435456",
                        example=None,
                    ),
                    "max_decoded_pixels": _option(
                        "Largest picture, in pixels, that is decoded on a worker, to rotate it or for preflight='fit'. "
                        "A pixel takes 8 bytes of memory.",
                        kind="integer",
                        default="33554432",
                        example=None,
                    ),
                    "max_picture_bytes": _option(
                        "Largest picture or video, in bytes, that is read or downloaded on a worker before a job is "
                        "submitted.",
                        kind="integer",
                        default="67108864",
                        example=None,
                    ),
                    "max_transfer_seconds": _option(
                        "Seconds that one try to download a file, or to read a picture from storage, may take.",
                        kind="integer",
                        default="900",
                        example=None,
                    ),
                },
            }
        },
    }


#: Form field for the webhook, masked because such a URL often contains a token.
_WEBHOOK: dict[str, Any] = {
    "label": "Webhook URL",
    "description": "The vendor calls this URL when a job ends. Airflow polls for results either way.",
    "schema": {"type": ["string", "null"], "format": "password"},
}


#: Form field for the rate limit of one account.
_RATE: dict[str, Any] = {
    "label": "Requests per second",
    "description": "Maximum API requests per second from one process; 0.5 means one every two seconds. "
    "Empty: no limit.",
    "schema": {"type": ["number", "null"], "exclusiveMinimum": 0},
}


def _guides(*pages: str) -> list[str]:
    return [f"/docs/how-to/{page}.md" for page in pages]


def _form(base_url: str) -> dict[str, Any]:
    """
    Standard fields of the form: an API key, and a base URL for proxies and the sandbox.

    The port is shown although it is rarely needed: on Airflow 3.3.2 *Test* rejects a stored connection without
    one.
    """
    return {
        "hidden-fields": ["login", "schema"],
        "relabeling": {"password": "API key", "host": "Base URL"},
        "placeholders": {
            "host": f"{base_url} (default)",
            "password": "API key from the vendor",
            "port": "443 (default); Airflow 3.3.2 needs it for Test",
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
