"""What the words of a vendor's refusal or failure mean, by a table of phrases."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.foundation.redaction import cut
from airflow_provider_faceswap.jobs import FailureReason
from airflow_provider_faceswap.vendors.phrases import EMPTY_WORDS, PHRASES, Meaning

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence


_REASONS: Mapping[Meaning, FailureReason] = {
    Meaning.CONTENT_REFUSED: FailureReason.CONTENT_REFUSED,
    Meaning.NO_FACE: FailureReason.NO_FACE,
    Meaning.NO_BALANCE: FailureReason.INSUFFICIENT_BALANCE,
    Meaning.BAD_INPUT: FailureReason.BAD_INPUT,
}

#: In a log, a line with one of these words may name a cause.
_FAILING = re.compile(
    r" (?:fail|error|reject|refus|invalid|unable|cannot|can t|could not|exception|denied|abort)"
)

#: Texts that are read of one value, items of each list in it, and characters of each text: its beginning and its end.
MAX_TEXTS, MAX_ITEMS, MAX_CHARACTERS = 160, 40, 1_000
#: Characters that are read of one value; more would hold an event loop.
MAX_READ = 60_000
_SENTENCES = re.compile(r"(?<=[.;!?])\s+|[\r\n]+")
_NOT_A_WORD = re.compile(r"[\W_]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True)
class Words:
    """The phrases of one vendor; each table is read on its own in a minute."""

    phrases: Mapping[Meaning, tuple[str, ...]]

    def adding(self, phrases: Mapping[Meaning, tuple[str, ...]]) -> Words:
        """These words and those of one vendor, which are looked for first."""
        return Words(
            {meaning: (*phrases.get(meaning, ()), *known) for meaning, known in self.phrases.items()}
        )

    @cached_property
    def _patterns(self) -> Mapping[Meaning, re.Pattern[str]]:
        return {meaning: re.compile("|".join(map(_regex, known))) for meaning, known in self.phrases.items()}

    def _of_sentence(self, sentence: str) -> Meaning | None:
        words = folded(sentence)
        return next((meaning for meaning, pattern in self._patterns.items() if pattern.search(words)), None)

    def _found(self, texts: Iterable[str]) -> Iterator[tuple[Meaning, str]]:
        """Each sentence that means something."""
        for text in texts:
            for sentence in _sentences(text):
                meaning = self._of_sentence(sentence)
                if meaning not in {None, Meaning.NOTHING}:
                    yield meaning, text if len(text) <= MAX_CHARACTERS // 2 else sentence

    def meaning(self, texts: Iterable[str]) -> Meaning | None:
        """What these texts show together; ``None`` if nothing is known."""
        found = {meaning for meaning, _ in self._found(texts)}
        return next((meaning for meaning in Meaning if meaning in found), None)

    def reason(self, texts: Iterable[str]) -> FailureReason:
        """The reason for a failure. A busy vendor and a passing fault are none: another attempt may succeed."""
        meaning = self.meaning(texts)
        return _REASONS.get(meaning, FailureReason.UNKNOWN) if meaning else FailureReason.UNKNOWN

    def most_telling(self, texts: Sequence[str], log: Sequence[str] = ()) -> str:
        """
        The text that tells most about the cause; of a long text, the sentence.

        :param texts: The fields of an error, the most specific first.
        :param log: Lines of a log, of which most are about something else.
        """
        meaning = self.meaning((*texts, *log))
        if meaning not in {None, Meaning.PASSING}:
            return next(text for found, text in self._found((*texts, *log)) if found is meaning)
        of_log = [text for found, text in self._found(log) if found is meaning]
        of_log += [text for text in log if _FAILING.search(folded(text))]
        return next((text for text in (*texts, *of_log) if not is_empty(text)), texts[0] if texts else "")


def _regex(phrase: str) -> str:
    """A phrase as a regular expression for a folded text."""
    *words, last = phrase.split()
    parts = [
        r"(?: \w+){0,2}" if word == ".." else f" (?:{word.replace('*', '[^ ]*')})(?= )" for word in words
    ]
    return "".join((*parts, f" (?:{last})"))


def folded(text: str) -> str:
    """The words of a text in lower case, with one blank around each."""
    return f" {_NOT_A_WORD.sub(' ', _CAMEL.sub(' ', text)).strip().casefold()} "


def is_empty(text: str) -> bool:
    """Whether a text does not name a cause, such as "Internal error. Please try again later."."""
    return EMPTY_WORDS.issuperset(folded(text).split())


def _sentences(text: str) -> Iterator[str]:
    """The sentences of a text, without "Error: " and the like at their start."""
    for sentence in _SENTENCES.split(text):
        parts = sentence.split(":")
        while len(parts) > 1 and is_empty(parts[0]):
            parts = parts[1:]
        if parts != [""]:
            yield ":".join(parts)


def texts_in(*values: Any) -> list[str]:
    """
    The texts in values of any type, in lists and objects, too.

    Of a long list the last items count: the end of a log tells how a job ended. Of a long text, both ends count.
    """
    texts: dict[str, None] = {}
    left, read = list(reversed(values)), 0
    while left and len(texts) < MAX_TEXTS and read < MAX_READ:
        match left.pop():
            case str() as text if text.strip():
                half = MAX_CHARACTERS // 2
                text = text if len(text) <= MAX_CHARACTERS else f"{cut(text, half)}\n{text[-half:]}"
                texts[text] = None
                read += len(text)
            case list() as several:
                left += reversed(several[-MAX_ITEMS:])
            case dict() as fields:
                left += reversed(list(fields.values())[-MAX_ITEMS:])
    return list(texts)


SHARED = Words(PHRASES)
