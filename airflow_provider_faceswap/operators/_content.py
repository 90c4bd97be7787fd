"""Content arguments of a job operator: declared by its constructor, and nowhere else."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_faceswap.foundation.rendered import set_arguments
from airflow_provider_faceswap.lifecycle.provenance import joined_private, materialized, split_private

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.providers.common.compat.sdk import Context

#: Rendered before each submission, not as a template field: Airflow stores those, and a webhook often carries a token.
_NOT_STORED = "webhook"


class ContentArguments(BaseOperator):
    """
    Operator whose constructor declares what a job is made from.

    A class that sets ``kind`` declares content arguments: the keyword-only arguments of its own constructor. It
    stores each under its own name. They become its first template fields, unless it lists its template fields itself.
    So a subclass of yours that sets ``kind`` sends every keyword-only argument of its constructor to the vendor.
    """

    _content: ClassVar[tuple[str, ...]] = ()
    #: The parts of arguments that may contain a token, by the argument's name.
    _private: Mapping[str, Mapping[Any, Any]] = MappingProxyType({})

    def __init_subclass__(cls, **options: Any) -> None:
        """Take the content arguments from the constructor's signature."""
        super().__init_subclass__(**options)
        own = vars(cls)
        if "kind" not in own or "__init__" not in own:
            return
        parameters = inspect.signature(own["__init__"]).parameters.values()
        names = [parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
        cls._content = (*names, *(name for name in cls._content if name not in names))
        if "template_fields" not in own:
            fields = [name for name in names if name != _NOT_STORED]
            cls.template_fields = (*fields, *(name for name in cls.template_fields if name not in fields))

    @property
    @abstractmethod
    def kind(self) -> str:
        """Which kind of job this submits."""

    def arguments(self) -> dict[str, Any]:
        """The content arguments under their neutral names, as the user gave them."""
        return {name: self._whole(name) for name in self._content}

    def _without_private(self, name: str, value: Any) -> Any:
        """
        An argument whose names are the vendor's, as it may be stored: without the parts that may contain a token.

        Airflow stores the rendered values of template fields, so these parts are kept back, and rendered before each
        submission, as a webhook is. Of a template or another task's output, nothing is known yet.
        """
        shown, private = split_private(value)
        self._private = {**self._private, name: private}
        return shown

    def _whole(self, name: str) -> Any:
        """An argument with the parts that were kept back."""
        return joined_private(getattr(self, name), self._private.get(name, {}))

    def _rendered_arguments(self, context: Context) -> dict[str, Any]:
        """The content arguments of this attempt."""
        arguments = set_arguments({name: materialized(value) for name, value in self.arguments().items()})
        if arguments.get(_NOT_STORED) is not None:
            arguments[_NOT_STORED] = self.render_template(arguments[_NOT_STORED], context)
        for name, private in self._private.items():
            if private:
                arguments[name] = joined_private(arguments[name], self.render_template(private, context))
        return arguments
