"""What a batch operator would buy, without buying it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.exceptions import InvalidRequestError
from airflow_provider_faceswap.hooks.private_host import check_private_host
from airflow_provider_faceswap.operators._spending import batch_money
from airflow_provider_faceswap.storage.task_records import store_of

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_faceswap.batch.estimate import Estimate
    from airflow_provider_faceswap.batch.items import Items
    from airflow_provider_faceswap.operators._batch import BatchOperator

#: The texts of a rendered template.
_FLAGS = {"true": True, "false": False}


def check_flag(value: Any) -> None:
    """
    Check ``dry_run`` when the Dag is parsed.

    :raises InvalidRequestError: It is neither a truth value nor a template.
    """
    if not (isinstance(value, str) and ("{{" in value or "{%" in value)):
        _flag(value)


def is_dry_run(operator: BatchOperator, context: Context) -> bool:
    """
    Whether this attempt is only to say what it would buy.

    :raises InvalidRequestError: The template became something else than ``True`` or ``False``.
    """
    value = operator.is_dry_run
    return _flag(operator.render_template(value, context) if isinstance(value, str) else value)


def _flag(value: Any) -> bool:
    found = value if isinstance(value, bool) else _FLAGS.get(str(value).strip().lower())
    if found is None:
        raise InvalidRequestError(
            f"dry_run: must be True, False or a template of these, got {type(value).__name__}"
        )
    return found


def estimate_of(operator: BatchOperator, context: Context, items: Items, key: str = "") -> Estimate:
    """
    What a batch would buy.

    :param key: Prefix of the keys of the records' shards.
    :raises InvalidRequestError: An argument or an item is wrong.
    :raises FaceSwapError: The items, the archive or a budget could not be read.
    """
    from airflow_provider_faceswap.archive.names import folder_of
    from airflow_provider_faceswap.batch.estimate import Estimator
    from airflow_provider_faceswap.batch.sharded_store import ShardedStore
    from airflow_provider_faceswap.operators._reuse import index_of

    folder = folder_of(operator.destination, operator.destination_conn_id)
    jobs = operator.job_options(context)
    for hook in jobs.hooks:
        check_private_host(hook.endpoint())
    store = store_of(context)
    return Estimator(
        jobs,
        None if store is None else ShardedStore(store, key),
        index_of(folder, operator.reuse_links) if operator.reuse == "archive" else None,
        batch_money(operator, operator.budget, context, jobs, remembers=store is not None),
    ).of(items, jobs.check(items))


def estimated(operator: BatchOperator, context: Context, items: Items, key: str) -> dict[str, Any]:
    """The estimate as plain JSON; the log has its table. The parameters are those of :func:`estimate_of`."""
    estimate = estimate_of(operator, context, items, key)
    operator.log.info("%s", estimate.table())
    return estimate.model_dump(mode="json")
