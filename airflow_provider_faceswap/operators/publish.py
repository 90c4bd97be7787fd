"""Publish archived results after a person has approved them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Unpack

from airflow.providers.common.compat.sdk import AirflowSkipException, BaseOperator

from airflow_provider_faceswap.archive.manifest import Approval, Archived, RunInfo
from airflow_provider_faceswap.archive.names import check_known, folder_of
from airflow_provider_faceswap.archive.publish import Publication, approval_of, delete, staged_files
from airflow_provider_faceswap.exceptions import InvalidRequestError
from airflow_provider_faceswap.foundation.validation import as_choice
from airflow_provider_faceswap.links import ArchivedLink, GalleryLink, ManifestLink
from airflow_provider_faceswap.operators._failure import failure_shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.providers.common.compat.sdk import Context, ObjectStoragePath

    from airflow_provider_faceswap.archive.place import Overwrite
    from airflow_provider_faceswap.operators._keywords import TaskArguments


class PublishOperator(BaseOperator):
    """
    Copy archived results with their manifests from a staging folder to another one, after a person has approved them.

    Returns what the archive task returned, with the new places: a dict, or a list of dicts if ``source`` is a list.

    Each new manifest says who approved the file and when, under ``approval``. A file is copied only if its content is what
    was archived, so a person approves the file that is published. A retry publishes the same files again under the same
    names. Nothing is bought, and no vendor is called.

    If the answer is not an approval, nothing is published, and the task is skipped.

    :param source: What an archive task returned, or a list of these: ``source=stage.output``.
    :param destination: The folder to publish to; the files keep their names.
    :param destination_conn_id: Airflow connection for that storage, if it needs one.
    :param approval: What the task returned that asked the person: ``approval=approve.output``. Default: publish without an
        approval, and record none.
    :param approve_option: The option that approves; any other one rejects.
    :param on_reject: What is done with the staged files if the answer is a rejection: ``keep`` (default) or ``delete``.
        Airflow's ``ApprovalOperator`` skips this task itself when a person rejects, so its files are always kept. For
        ``delete``, ask with ``HITLOperator(options=["Approve", "Reject"])``.
    :param move: Delete the staged files after all of them are published. Default: they stay.
    :param overwrite: If a name is taken: ``replace`` (default), ``skip`` or ``error``, as for the archive.
    :param multiple_outputs: Store each key of the result as an XCom of its own too.
    :raises InvalidRequestError: An argument is wrong, or nobody has answered.
    :raises ArchiveError: A file could not be published.
    """

    template_fields: Sequence[str] = ("source", "destination", "destination_conn_id", "approval")
    operator_extra_links = (ArchivedLink(), ManifestLink(), GalleryLink())
    ui_color = "#dcefdc"

    def __init__(
        self,
        *,
        source: Any,
        destination: str | ObjectStoragePath,
        destination_conn_id: str | None = None,
        approval: Any = None,
        approve_option: str = "Approve",
        on_reject: Literal["keep", "delete"] = "keep",
        move: bool = False,
        overwrite: Overwrite = "replace",
        multiple_outputs: bool = True,
        **kwargs: Unpack[TaskArguments],
    ) -> None:
        super().__init__(multiple_outputs=multiple_outputs, **kwargs)
        check_known(destination, destination_conn_id)
        self.source = source
        self.destination = destination
        self.destination_conn_id = destination_conn_id
        self.approval = approval
        self.approve_option = approve_option
        self.on_reject = as_choice("on_reject", on_reject, ("keep", "delete"))
        self.move = move
        self.overwrite = as_choice("overwrite", overwrite, ("error", "skip", "replace"))
        self.outcome: dict[str, Any] | list[dict[str, Any]] | None = None
        # Rendered, an answer that is missing looks like none that was ever wanted.
        self._asks = approval is not None
        asking = getattr(approval, "operator", None)
        if on_reject == "delete" and hasattr(asking, "ignore_downstream_trigger_rules"):
            raise InvalidRequestError(
                "on_reject: must be 'keep' after an ApprovalOperator, which skips this task when a person rejects",
                advice="To delete, ask with HITLOperator(options=['Approve', 'Reject']).",
            )

    @failure_shown
    def execute(self, context: Context) -> dict[str, Any] | list[dict[str, Any]]:
        """Publish, or handle the rejection."""
        staged, is_list = staged_files(self.source)
        approval = approval_of(self.approval) if self._asks else None
        if approval is not None and approval.option != self.approve_option:
            self._reject(approval, staged)
        publication = Publication(
            folder_of(self.destination, self.destination_conn_id),
            RunInfo.of(context["ti"]),
            approval,
            self.overwrite,
        )
        published = []
        for file in staged:
            published.append(publication.publish(file))
            self.log.info("Published %s, %s", published[-1].uri, _answer(approval))
        if self.move:
            for uri in delete(staged):
                self.log.info("Deleted the staged file %s", uri)
        files = [file.model_dump() for file in published]
        self.outcome = files if is_list or len(files) != 1 else files[0]
        return self.outcome

    def post_execute(self, context: Context, result: Any = None) -> None:
        """Store the values of each key of several results as a list; Airflow does it for one result only."""
        super().post_execute(context, result)
        if self.multiple_outputs and isinstance(self.outcome, list):
            self.multiple_outputs = False
            if self.do_xcom_push:
                for key in Archived.model_fields:
                    context["ti"].xcom_push(key, [file[key] for file in self.outcome])

    def _reject(self, approval: Approval, staged: list[Archived]) -> None:
        """
        Delete the staged files or keep them, and say so.

        :raises AirflowSkipException: Always.
        """
        answer = _answer(approval)
        if self.on_reject == "keep":
            self.log.info("Not published, %s. Kept: %s", answer, ", ".join(file.uri for file in staged))
            raise AirflowSkipException(f"Not published, {answer}. The staged files are kept.")
        deleted = delete(staged)
        self.log.info("Not published, %s. Deleted: %s", answer, ", ".join(deleted) or "nothing was left")
        raise AirflowSkipException(f"Not published, {answer}. The staged files are deleted.")


def _answer(approval: Approval | None) -> str:
    """Who answered what."""
    if approval is None:
        return "without an approval"
    who = f"by {approval.by.get('name') or approval.by.get('id')}" if approval.by else "by default"
    return f"{approval.option!r} {who}, {approval.at}"
