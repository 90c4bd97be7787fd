"""
Keyword arguments that operators take besides their own, for editors and type checkers (PEP 692).

A test compares the names with Airflow's and with those of :class:`~airflow_provider_faceswap.operators.base.JobOperator`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Required, TypedDict

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping, Sequence
    from datetime import datetime, timedelta

    from airflow.providers.common.compat.sdk import DAG, Context, TaskGroup

    from airflow_provider_faceswap.media.preflight import Preflight

    Callback = Callable[[Context], None]
    Callbacks = None | Callback | list[Callback]


class TaskArguments(TypedDict, total=False):
    """Airflow's arguments of every task, but ``multiple_outputs``, which each operator here has with its own default."""

    task_id: Required[str]
    owner: str
    email: str | Sequence[str] | None
    email_on_retry: bool
    email_on_failure: bool
    retries: int | None
    retry_delay: timedelta | float
    retry_exponential_backoff: float
    max_retry_delay: timedelta | float | None
    retry_policy: Any
    start_date: datetime | None
    end_date: datetime | None
    depends_on_past: bool
    ignore_first_depends_on_past: bool
    wait_for_past_depends_before_skipping: bool
    wait_for_downstream: bool
    dag: DAG | None
    params: MutableMapping[str, Any] | None
    default_args: dict[str, Any] | None
    priority_weight: int
    weight_rule: Any
    queue: str
    pool: str | None
    pool_slots: int
    sla: timedelta | None
    execution_timeout: timedelta | None
    on_execute_callback: Callbacks
    on_failure_callback: Callbacks
    on_success_callback: Callbacks
    on_retry_callback: Callbacks
    on_skipped_callback: Callbacks
    pre_execute: Callable[[Any], None] | None
    post_execute: Callable[[Any, Any], None] | None
    trigger_rule: str
    resources: dict[str, Any] | None
    run_as_user: str | None
    map_index_template: str | None
    max_active_tis_per_dag: int | None
    max_active_tis_per_dagrun: int | None
    executor: str | None
    executor_config: dict[str, Any] | None
    do_xcom_push: bool
    inlets: Any
    outlets: Any
    task_group: TaskGroup | None
    doc: str | None
    doc_md: str | None
    doc_json: str | None
    doc_yaml: str | None
    doc_rst: str | None
    task_display_name: str | None
    logger_name: str | None
    allow_nested_operators: bool
    render_template_as_native_obj: bool | None


class FailoverArguments(TaskArguments, total=False):
    """The arguments of an operator that submits a job at one of several connections."""

    deferrable: bool | None
    timeout: float | timedelta | None
    poll_interval: float | None
    cancel_on_kill: bool
    cancel_on_timeout: bool
    on_uncertain: Literal["fail", "resubmit"]
    on_clear: Literal["reuse", "resubmit"]
    max_submissions: int
    resume_job_id: Any
    preflight: Preflight
    budget: Any
    price: float | None
    reuse: Literal["run", "archive"]
    reuse_from: Any
    reuse_links: Literal["link", "content"]
    multiple_outputs: bool


class JobArguments(FailoverArguments, total=False):
    """The arguments of every other operator that submits a job."""

    conn_id: str | None


class BatchArguments(TaskArguments, total=False):
    """The arguments of every operator of a batch."""

    items: Required[Any]
    destination: Required[Any]
    concurrency: int
    destination_conn_id: str | None
    fail_on: Literal["any", "all"] | float
    timeout: float | timedelta
    poll_interval: float | None
    cancel_on_kill: bool
    on_uncertain: Literal["fail", "resubmit"]
    on_clear: Literal["reuse", "resubmit"]
    max_submissions: int
    preflight: Preflight
    on_bad_item: Literal["fail", "skip"]
    picture_conn_ids: Sequence[str]
    thumbnails: bool
    budget: Any
    price: float | None
    reuse: Literal["run", "archive"]
    dry_run: bool | str
    reuse_links: Literal["link", "content"]
    multiple_outputs: bool


class SensorArguments(TaskArguments, total=False):
    """The arguments of Airflow's sensors."""

    poke_interval: timedelta | float
    timeout: timedelta | float | None
    soft_fail: bool
    mode: Literal["poke", "reschedule"]
    exponential_backoff: bool
    max_wait: timedelta | float | None
    silent_fail: bool
    never_fail: bool
