"""
What a worker does after a task's success, and whether a trigger can do the same.

The decision goes by what is known to be safe: whatever is not listed here resumes the task on a worker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator, conf
from jinja2 import Environment, TemplateError, nodes

from airflow_provider_faceswap.hooks.registry import hook_for
from airflow_provider_faceswap.links import GalleryLink, ResultLink
from airflow_provider_faceswap.triggers._airflow_internals import (
    has_success_listener,
    mapped_downstream,
    stores_in_place,
    stores_map_index_early,
    uses_default_xcom,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_PACKAGE = __name__.partition(".")[0]

#: Attributes of an operator that matter before its success, or only without one. Each other attribute that Airflow
#: defines must have Airflow's own default.
_BEFORE_SUCCESS = frozenset(
    {
        *("task_id", "owner", "_task_display_name", "params", "inlets", "is_setup", "is_teardown"),
        *("doc", "doc_json", "doc_md", "doc_rst", "doc_yaml"),
        *("_dag", "task_group", "upstream_task_ids", "downstream_task_ids"),
        *("start_date", "end_date", "trigger_rule", "depends_on_past", "ignore_first_depends_on_past"),
        *("wait_for_downstream", "wait_for_past_depends_before_skipping"),
        *("pool", "pool_slots", "queue", "priority_weight", "weight_rule", "resources", "run_as_user"),
        *("executor", "executor_config", "max_active_tis_per_dag", "max_active_tis_per_dagrun"),
        *("retries", "retry_delay", "retry_exponential_backoff", "max_retry_delay", "retry_policy"),
        *("email", "email_on_failure", "email_on_retry", "execution_timeout"),
        *("on_execute_callback", "on_failure_callback", "on_retry_callback", "on_skipped_callback"),
        *("_pre_execute_hook", "allow_nested_operators", "render_template_as_native_obj"),
        *("template_fields", "template_ext", "ui_color", "ui_fgcolor"),
        *("_logger_name", "_log_config_logger_name", "_log", "_cached_logger", "_lock_for_execution"),
        *("_BaseOperator__init_kwargs", "_BaseOperator__instantiated", "_BaseOperator__from_mapped"),
    }
)
#: Attributes that a trigger takes into account.
_DONE_IN_PLACE = frozenset(
    {"multiple_outputs", "returns_dag_result", "map_index_template", "operator_extra_links"}
)
#: What a class outside this package may define although a class below it does: nothing of it runs after a success.
_OVERRIDES = frozenset(
    {
        *("__init__", "__doc__", "__module__", "__qualname__", "__dict__", "__weakref__"),
        *("__annotations__", "__annotate__", "__annotate_func__", "__annotations_cache__"),
        *("__firstlineno__", "__static_attributes__", "__orig_bases__", "__parameters__"),
        *("__abstractmethods__", "_abc_impl", "pre_execute"),
        *("_content", "arguments", "kind", "hook_class", "default_timeout", "custom_operator_name"),
        *("template_fields", "template_ext", "template_fields_renderers", "shallow_copy_attrs"),
        *("ui_color", "ui_fgcolor"),
    }
)
#: Names in a ``map_index_template`` that mean the same before a job and after it, and such attributes of others.
_CONSTANT_NAMES = frozenset({"params", "run_id", "dag_run", "ds", "ds_nodash", "ts", "logical_date"})
_CONSTANT_ATTRIBUTES = dict.fromkeys(("ti", "task_instance"), frozenset({"map_index", "run_id", "task_id"}))


def stored_in_triggerer(operator: BaseOperator) -> dict[str, bool] | None:
    """
    Decide whether a success of this task may end in the triggerer.

    :returns: What is stored besides the return value, for the trigger; ``None`` if a worker must end the task.
    """
    if not (_is_ours(operator) and _is_plain(operator) and _uses_registered_hook(operator)):
        return None
    if not uses_default_xcom() or has_success_listener():
        return None
    if conf.getboolean("state_store", "clear_on_success", fallback=False):
        return None
    wanted = {
        "multiple_outputs": operator.multiple_outputs,
        "mapped_length": mapped_downstream(operator),
        "dag_result": getattr(operator, "returns_dag_result", False),
    }
    stored = {name: True for name, value in wanted.items() if value}
    return stored if stores_in_place(stored) else None


def _is_ours(operator: BaseOperator) -> bool:
    """True if no class outside this package overrides what may run after a success."""
    classes = type(operator).__mro__
    known = [one for one in classes if one in BaseOperator.__mro__ or _is_of_package(one)]
    defined = {name for one in known for name in vars(one)}
    return not any(set(vars(one)) & defined - _OVERRIDES for one in classes if one not in known)


def _is_of_package(a_class: type) -> bool:
    return a_class.__module__.partition(".")[0] == _PACKAGE


def _is_plain(operator: BaseOperator) -> bool:
    """True if the task wants nothing after its success that a trigger cannot do."""
    links = operator.operator_extra_links
    if not all(type(link) in {ResultLink, GalleryLink} for link in links):
        return False
    template = operator.map_index_template
    if template is not None and not (stores_map_index_early() and _is_constant(template, operator)):
        return False
    return not any(_differs(operator))


def _differs(operator: BaseOperator) -> Iterator[str]:
    """The attributes of this one operator whose effect on a success is not known."""
    usual = BaseOperator(task_id="usual", dag=None, task_group=None)
    for name, value in vars(operator).items():
        if name in _BEFORE_SUCCESS | _DONE_IN_PLACE:
            continue
        if hasattr(usual, name):
            if value != getattr(usual, name):
                yield name
        elif callable(getattr(type(operator), name, None)):
            # A method that somebody replaced on this instance.
            yield name


def _uses_registered_hook(operator: BaseOperator) -> bool:
    """True if the trigger would poll with the operator's own hook class; it knows only that of the vendor."""
    own: Any = getattr(operator, "hook_class", None)
    return own is None or type(hook_for(own.vendor.name, own.default_conn_name)) is own


def _is_constant(template: str, operator: BaseOperator) -> bool:
    """True if a ``map_index_template`` is the same before the job, where it was rendered, and after it."""
    try:
        tree = Environment().parse(template)  # noqa: S701 - it is read, not rendered
    except TemplateError:
        return False
    attributes: Mapping[str, Any] = {
        **_CONSTANT_ATTRIBUTES,
        "task": {"task_id", *operator.template_fields},
    }
    read = {id(node.node): node.attr for node in tree.find_all(nodes.Getattr)}
    return all(
        node.name in _CONSTANT_NAMES or read.get(id(node)) in attributes.get(node.name, ())
        for node in tree.find_all(nodes.Name)
    )
