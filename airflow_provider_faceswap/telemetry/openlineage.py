"""Lineage for the OpenLineage provider, if that is installed."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap import __version__

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from openlineage.client.event_v2 import InputDataset, OutputDataset
    from openlineage.client.facet_v2 import RunFacet

    from airflow_provider_faceswap.telemetry.lineage import LineageRecord, Output


#: The project, as OpenLineage names what made a facet.
PRODUCER = f"https://github.com/airflow-provider-faceswap/airflow-provider-faceswap/tree/v{__version__}"
#: The schema of our own facet.
SCHEMA_URL = (
    "https://github.com/airflow-provider-faceswap/airflow-provider-faceswap/blob/main/docs/openlineage-facet.json"
    "#/$defs/FaceSwapRunFacet"
)


def facets(record: LineageRecord) -> OperatorLineage[Any, Any] | None:
    """
    A record in the form that the OpenLineage provider expects from an operator.

    :returns: ``None`` if that provider is not installed.
    """
    try:
        from airflow.providers.openlineage.extractors import OperatorLineage
        from openlineage.client.facet_v2 import external_query_run
    except ImportError:
        return None
    run: dict[str, RunFacet] = {}
    if record.total:
        run["faceswap"] = _facet()(
            jobs=list(record.jobs), total=record.total, cost=dict(record.cost or {}), producer=PRODUCER
        )
    if record.total == 1 and record.jobs:
        job = record.jobs[0]
        run["externalQuery"] = external_query_run.ExternalQueryRunFacet(
            externalQueryId=job["job_id"], source=job["vendor"]
        )
    return OperatorLineage(
        inputs=[_input(place) for place in record.inputs],
        outputs=[_output(output) for output in record.outputs],
        run_facets=run,
    )


@cache
def _facet() -> Any:
    """The class of our own facet, defined late because its base needs OpenLineage."""
    import attr
    from openlineage.client.facet_v2 import RunFacet

    @attr.define
    class FaceSwapRunFacet(RunFacet):
        """The jobs of a run: the listed ones, their number, and the cost of all of them."""

        jobs: list[dict[str, Any]]
        total: int
        cost: dict[str, float]

        @staticmethod
        def _get_schema() -> str:
            return SCHEMA_URL

    return FaceSwapRunFacet


def _input(place: str) -> InputDataset:
    from openlineage.client.event_v2 import InputDataset

    namespace, name = _named(place)
    return InputDataset(namespace=namespace, name=name)


def _output(output: Output) -> OutputDataset:
    from openlineage.client.event_v2 import OutputDataset
    from openlineage.client.facet_v2 import dataset_version_dataset, output_statistics_output_dataset

    namespace, name = _named(output.place)
    made = OutputDataset(namespace=namespace, name=name)
    if output.sha256:
        version = dataset_version_dataset.DatasetVersionDatasetFacet(datasetVersion=output.sha256)
        made.facets = {"version": version}
    if output.files is not None:
        made.outputFacets = {
            "outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
                size=output.bytes, fileCount=output.files
            )
        }
    return made


def _named(place: str) -> tuple[str, str]:
    """Namespace and name, by OpenLineage's rules: the bucket and the key, or ``file`` and the path."""
    scheme, _, rest = place.partition("://")
    authority, _, path = rest.partition("/")
    if scheme == "file":
        return (f"file://{authority}" if authority else "file"), f"/{path}"
    return f"{scheme}://{authority}", path or "/"
