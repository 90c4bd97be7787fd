"""K2, F4: two Dags with the same tasks, one deferrable and one not. Each task wants something after its success."""

from __future__ import annotations

import os

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Asset, BaseOperatorLink, task

from airflow_provider_faceswap.operators.archive import ArchiveOperator
from airflow_provider_faceswap.operators.batch import FaceSwapBatchOperator
from airflow_provider_faceswap.operators.faceswap import FaceSwapOperator
from airflow_provider_faceswap.operators.gptunnel import GPTunnelFaceSwapOperator
from airflow_provider_faceswap.sensors.job import JobSensor

SANDBOX = os.environ.get("AFTER_SUCCESS_URL", "http://127.0.0.1:1")
KEPT = os.environ.get("AFTER_SUCCESS_KEPT", "file:///tmp/kept")
CONN_ID = "after_success"
FACE = f"{SANDBOX}/samples/dora.jpg"
TARGETS = [f"{SANDBOX}/samples/clara.jpg", f"{SANDBOX}/samples/emil.png"]


def notice(context, result=None):
    """Leave a trace that the API shows."""
    context["ti"].xcom_push("noticed", result["kind"] if result else "called")


class PostExecute(GPTunnelFaceSwapOperator):
    """A subclass with a last step of its own."""

    def post_execute(self, context, result=None):
        context["ti"].xcom_push("noticed", "called")


class House(GPTunnelFaceSwapOperator):
    """A subclass that adds to the result, in both modes."""

    def execute(self, context):
        return {**super().execute(context), "house": "blue"}

    def execute_complete(self, context, event=None, submission=None):
        return {**super().execute_complete(context, event, submission), "house": "blue"}


class HouseLink(BaseOperatorLink):
    """A button of the subclass's own."""

    name = "House"

    def get_link(self, operator, *, ti_key):
        return "https://house.test" if operator.outcome else ""


class Linked(GPTunnelFaceSwapOperator):
    """A subclass with that button."""

    operator_extra_links = (HouseLink(),)


@task(show_return_value_in_logs=False)
def show(values):
    """Return what came; of mapped tasks comes a sequence that is no list."""
    return {
        name: value if isinstance(value, dict | str | None) else list(value) for name, value in values.items()
    }


def build(*, deferrable):
    """The tasks of one Dag."""
    common = {"conn_id": CONN_ID, "face_image": FACE, "deferrable": deferrable}

    def swap(task_id, a_class=GPTunnelFaceSwapOperator, **more):
        return a_class(task_id=task_id, target_image=TARGETS[0], **common, **more)

    plain = swap("plain")
    swap("one_xcom", multiple_outputs=False)
    swap("no_xcom", do_xcom_push=False)
    swap("post_execute", post_execute=notice)
    swap("on_success", on_success_callback=notice)
    swap("outlets", outlets=[Asset(f"after-success-{'deferred' if deferrable else 'waited'}")])
    swap("subclass_post_execute", PostExecute)
    swap("subclass_result", House)
    swap("subclass_link", Linked)

    mapped_over = swap("mapped_over")
    # No worker runs these: how many there are is what is looked at.
    EmptyOperator.partial(task_id="each").expand(doc=mapped_over.output)

    mapped = GPTunnelFaceSwapOperator.partial(
        task_id="mapped", map_index_template="{{ task.target_image.split('/')[-1] }}", **common
    ).expand(target_image=TARGETS)
    EmptyOperator.partial(task_id="each_mapped").expand(doc=mapped.output)
    GPTunnelFaceSwapOperator.partial(
        task_id="named", map_index_template="{{ task.outcome['kind'] }}", **common
    ).expand(target_image=TARGETS[:1])

    failover = FaceSwapOperator(
        task_id="failover",
        target_image=TARGETS[0],
        face_image=FACE,
        conn_ids=[CONN_ID],
        deferrable=deferrable,
    )
    again = JobSensor(
        task_id="sensor",
        conn_id=CONN_ID,
        job_id=plain.output["job_id"],
        kind="face_swap",
        deferrable=deferrable,
        poke_interval=1,
    )
    one = ArchiveOperator(task_id="archive", source=plain.output, destination=KEPT)
    several = ArchiveOperator(task_id="archive_all", source=mapped.output, destination=KEPT)
    batch = FaceSwapBatchOperator(
        task_id="batch",
        conn_id=CONN_ID,
        items=[{"target_image": TARGETS[0], "face_image": FACE}],
        destination=f"{KEPT}/{'deferred' if deferrable else 'waited'}",
    )
    show(
        {
            **{key: plain.output[key] for key in ("url", "job_id", "urls", "cost")},
            "text": f"{plain.output['kind']} by {plain.output['vendor']}",
            "mapped": mapped.output["url"],
            "failover": failover.output["url"],
            "sensor": again.output["url"],
            "uri": one.output["uri"],
            "uris": several.output["manifest_uri"],
            "manifest": batch.output["manifest_uri"],
        }
    )
    return plain.output, mapped.output


for dag_id, deferrable in (("after_success_deferred", True), ("after_success_waited", False)):
    with DAG(dag_id, schedule=None) as dag:
        for result in build(deferrable=deferrable):
            # Below Airflow 3.3 a Dag has no results.
            if hasattr(dag, "add_result"):
                dag.add_result(result)
    globals()[dag_id] = dag
