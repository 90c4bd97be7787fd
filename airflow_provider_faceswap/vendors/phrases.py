"""
The phrases by which a vendor's text is understood: the table that all vendors share.

They are from vendors' pages, their public clients and public reports; no vendor documents a complete list.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Meaning(StrEnum):
    """What a text shows. Of the meanings of several texts, the first in this list counts."""

    CONTENT_REFUSED = "content_refused"
    NO_FACE = "no_face"
    NO_BALANCE = "no_balance"
    BUSY = "busy"
    BAD_INPUT = "bad_input"
    PASSING = "passing"
    NOTHING = "nothing"


#: The phrases of each meaning. In one sentence, the first meaning of this table counts: a passing fault often names
#: what it interrupted ("moderation service timed out").
#:
#: Letters have no case, and every other character is a blank: ``face-swap`` and ``faceSwap`` are ``face swap``. A
#: phrase starts at the start of a word and may end inside one: ``no face`` is in ``no faces``. In a phrase, ``a|b`` is
#: either word, ``*`` is the rest of a word, and ``..`` is up to two words.
PHRASES: Mapping[Meaning, tuple[str, ...]] = {
    # A check that found nothing, or a name of a field.
    Meaning.NOTHING: (
        "moderation|nsfw|safety|check|checks|checker|filter|review|sensitive|detected passed|ok|false|disabled|skipped",
        "moderation|nsfw|safety|check|checks|checker|filter|review enabled|started|running|calling|pending|step|took|score",
        "moderation|nsfw|safety|check|checks|checker|filter|review must|should|parameter",
        "running|starting|calling|checking|waiting .. content|moderation|nsfw|safety|sensitive",
        "no nsfw|sensitive|violation|prohibited|inappropriate|unsafe",
        "property nsfw",
        "case|time sensitive",
        "insensitive",
    ),
    # The account has too many jobs or requests now, or the vendor has.
    Meaning.BUSY: (
        "active task",
        "reached|exceeded|exceeds .. plan limit",
        "plan limit reached|exceeded",
        "rate limit",
        "too many request|task|job|concurrent|active|pending|running|parallel|simultaneous|call",
        "parallel|simultaneous .. limit|reached|exceeded",
        "concurren* .. limit|reached|exceed|max",
        "limit|maximum|max .. concurren",
        "task|job|request|generation limit reached|exceeded",
        "maximum number of request|task|job|generation|concurrent|active|pending|running",
        "queue .. full|limit",
        "is|are|too|currently|server|service|system busy",
        "overload",
        "at|over|no .. capacity",
        "no .. worker|gpu|node|slot|instance|server|machine|runner|replica|backend",
        "worker|workers .. not available|busy",
        "throttl",
        "per minute|second",
        "slow down",
        "resource exhausted",
        "high|heavy demand|load|traffic",
    ),
    # A fault of the vendor that may be gone at the next attempt.
    Meaning.PASSING: (
        "timeout",
        "timed out",
        "time out",
        "deadline exceeded",
        "temporarily",
        "unavailable",
        "internal .. error",
        "out of memory",
        "insufficient .. memory|gpu|resource|capacity|compute",
        "not enough .. memory|gpu|resource|capacity|compute",
        "service|server|worker|gateway|upstream|backend error|failed|failure|crashed|died|lost|down|unreachable|restart",
        "service|server|worker|gateway|upstream|backend is|was|are .. down|unreachable|restarted|lost|available",
        "connection .. reset|refused|closed|aborted|error|lost|failed",
        "failed|unable|error .. call",
        "moderation|safety|nsfw|sensitive .. error|exception|crash",
        "error occurred|happened .. during|in|while|from",
        "returned|status|http|code|error .. 500|502|503|504",
        "network error",
        "bad gateway",
        "maintenance",
        "face swap|detection service|model|engine|worker|server",
        "no face swap|detection|detector|model",
        "no faceswap",
        "failed|unable|could|cannot .. reach|contact|connect",
    ),
    Meaning.NO_BALANCE: (
        "insufficient .. credit|balance|fund|quota|point|token|money",
        "not .. enough .. credit|balance|fund|quota|point|token|money",
        "credit|credits|balance|fund|funds|quota|points .. insufficient|exhausted|depleted|exceeded",
        "credit|credits|balance|fund|funds|quota|points .. low|expired",
        "credit|credits|balance|fund|funds|quota|points .. not enough",
        "credit|credits|balance|quota|points .. used up",
        "exceeded|exceeds .. quota|balance|credit",
        "out of credit|quota|balance|fund|point",
        "no|zero credit|credits|balance|quota|points left|remaining|available",
        "no .. remaining|more credit|balance|quota|point",
        "has|have no credit|balance|quota|point",
        "lack|lacks .. credit|balance|fund",
        "low balance",
        "payment required",
        "top up",
        "please recharge",
        "recharge your",
        "arrears",
        "overdue",
        "billing .. limit",
    ),
    Meaning.CONTENT_REFUSED: (
        "content polic|restriction|filter|moderation|violation|safety|guideline|review|check",
        "safety system|filter|polic|guideline|check|setting|violation|reason",
        "usage|use|acceptable polic",
        "polic* violation",
        "comply with .. polic|guideline|term|rule|standard",
        "community guideline|standard|polic",
        "violat* .. guideline|polic|term|rule|standard|law",
        "against .. polic|guideline|term|rule",
        "term|terms of service|use",
        "prohibited|banned|forbidden|disallowed|blocked|illegal .. content|prompt|word|image|picture|material|keyword|term",
        "inappropriate",
        "not appropriate",
        "unsafe",
        "harmful",
        "hate speech",
        "violence",
        "deepfake",
        "trust and safety",
        "responsible ai",
        "blocklist",
        "blacklist",
        "allowed|permitted by|under .. polic|guideline|term|rule",
        "unsafe|harmful|explicit|adult|sexual|violent .. content|prompt|image|picture|material",
        "content|prompt|image|picture is|was|were|has .. blocked|flagged|banned|prohibited",
        "content|prompt|image|picture blocked|banned|prohibited",
        "prompt|image|picture|input|output flagged|moderated",
        "blocked by .. moderation|filter|polic|safety",
        "flagged as|by|for",
        "risk control",
        "nsfw",
        "nudity",
        "nude",
        "sexually",
        "pornograph",
        "moderation",
        "moderated",
        "sensitive",
        "real person|people|human|individual",
        "a minor",
        "minors",
        "public figure",
        "celebrit",
        "underage",
        "copyright",
    ),
    Meaning.NO_FACE: (
        "no face",
        "no human|valid|usable|clear|visible|recognizable face",
        "no .. face|faces found|detected|in|was|were",
        "face|faces not",
        "face|faces is|are|was|were|could|can .. not|no|cannot",
        "not|cannot|never find|detect|recognize|locate|contain|have .. face",
        "failed|unable|fails to find|detect|recognize|locate .. face",
        "without .. face",
        "0|zero face",
        "face detection failed",
        "missing face",
    ),
    Meaning.BAD_INPUT: (
        "invalid request|parameter|param|argument|input|image|picture|video|url|link|file|format|prompt|base64|model",
        "failed|unable|could|cannot .. get|download|fetch|load|open|read|decode .. image|picture|video|url|link|file|input|media",
        "failed|unable .. get|download .. valid",
        "unsupported|corrupt|corrupted|damaged .. image|picture|video|file|format|media|type",
        "image|picture|video|file|input|resolution|payload .. too large|small|big|long|short|many",
        "image|picture|video|file|input is|are .. corrupt|invalid|unsupported|damaged|empty",
        "not .. valid|supported .. image|picture|video|file|format|url",
    ),
}

#: A text of these words alone does not name a cause, such as "Internal error. Please try again later.".
EMPTY_WORDS = frozenset(
    """
    a again an and at be been cannot complete completed contact could create creation encountered
    error errors exception execution fail failed failing fails failure few for generation generic
    happened has have in internal is it job later minutes moment nil none not null occured occurred of
    ok on oops or our please process processing request result retry run running server service
    something sorry status success support system task the this to try unexpected unknown unspecified
    us was we went while wrong your
    """.split()  # noqa: SIM905 - a list with one word a line is not read in a minute
)
