"""Attached files at the relay: a chunk goes to those, and to those alone, who hold the section that cites its file.

A message that cites files names them, with their keys, in its ``attachments`` section; policy gives that section or withholds it like any
other. A *chunk* (family ``attachment``) is a subject of its own in the same shard, for its owner is the same. About a chunk policy is
asked one thing: whether its originator may publish it. Who gets it is not asked a second time, under labels that might differ, but
follows from what the citing subject's row says: the agencies that were given the section with its last revision. So whatever gives the
section gives the chunks - a late joiner, a consent, the end of an embargo - and whatever takes it takes them: a revision for fewer, other
rules, the end of a consent, a recall. In the same transaction as the row changes, its chunks become due, and the next sweep
(:mod:`broker.exchange.catch_up`) decides them again: who holds the section no more is told to erase each chunk, by a delivery without a
section in the place of the first in its inbox. What is left in ``exchange.current`` of a chunk that nobody is to have any more is the
parcel without its ciphertext.

The owner's publisher therefore recalls nothing but the citing subject: that the chunks follow does not hang on whether it is alive.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from broker import ids
from broker.envelope.header import Header
from broker.envelope.parcel import with_extras
from broker.errors import Refusal
from broker.exchange.admit import AUDIENCE, CORE, Authentic, open_section
from broker.exchange.recall import is_active
from broker.exchange.shard import ShardState
from broker.exchange.subjects import SubjectState, showing
from broker.families.attachment import CHUNK, FAMILY, SECTION
from broker.policy.model import Distribution, Release
from broker.trust.directory import Directory

WITH_CITING: Final = "as-the-section-that-cites-it"
"""The rule under which a chunk is given: no policy can give it to anybody else."""
CHUNKS_LIMIT: Final = 20_000
"""Most chunks of one agency whose files are cited: 10 GiB."""


def uncited(shard: ShardState, authentic: Authentic) -> Refusal | None:
    """Step 9 for a chunk, which has passed the steps before: NOT_CITED unless the last revision of its target, a subject of the same
    owner, cites the file with as many chunks; TOO_MUCH_ATTACHED where the agency has :data:`CHUNKS_LIMIT`."""
    header = authentic.header
    if header.family != FAMILY:
        return None
    core, target = open_section(authentic, CORE), header.correlation.target or ""
    citing = shard.subjects.get(target) if ids.owner_of(target) == header.originator else None
    if citing is None or (core["file"], core["chunks"]) not in citing.files:
        return Refusal("NOT_CITED", "the target's last revision does not cite this file", "header.correlation.target")
    if sum(_kept(shard, header.originator)) >= CHUNKS_LIMIT:
        return Refusal("TOO_MUCH_ATTACHED", f"{header.originator} has {CHUNKS_LIMIT:,} chunks in the exchange", "header.originator")
    return None


def _kept(shard: ShardState, owner: str) -> Iterator[int]:
    """How many chunks each subject of this owner has that still cites files."""
    for subject, chunks in shard.chunks.items():
        if ids.owner_of(subject) == owner and shard.subjects[subject].files:
            yield len(chunks)


def _citing(shard: ShardState, header: Header) -> SubjectState | None:
    """The subject that cites the file of this chunk, while its last revision does."""
    citing = shard.subjects.get(header.correlation.target or "")
    file = header.subject.rsplit("/", 2)[1]
    return citing if citing is not None and any(each.hex() == file for each, _chunks in citing.files) else None


def following(shard: ShardState, authentic: Authentic, directory: Directory) -> Distribution | None:
    """Who gets a chunk now: nobody one whose ciphertext was let go, and no agency that is suspended, which gets it when it is back. None
    for a message of any other family, about which policy is asked."""
    header = authentic.header
    if header.family != FAMILY:
        return None
    known = shard.subjects.get(header.subject)
    citing = _citing(shard, header) if known is None or known.cited_by else None
    given = tuple((each.section, WITH_CITING) for each in header.commitments if each.section != AUDIENCE)
    holders = [each for each in showing(citing) if is_active(each, directory)] if citing is not None else ()
    return Distribution(tuple(Release(agency, WITH_CITING, given, ()) for agency in holders), (), None)


def noted(state: SubjectState, authentic: Authentic) -> SubjectState:
    """The subject with the files that this revision cites, or with the subject that cites it."""
    header = authentic.header
    if header.family == FAMILY:
        return replace(state, cited_by=header.correlation.target or "")
    if SECTION not in authentic.records:
        return state
    files = tuple((each["file"], each["chunks"]) for each in open_section(authentic, SECTION)["files"])
    place = [each.section for each in header.commitments if each.section != AUDIENCE].index(SECTION)
    return replace(state, files=files, files_at=place)


def emptied(shard: ShardState, authentic: Authentic) -> bytes | None:
    """The parcel of a chunk without its ciphertext, where no message cites its file any more; None while one does."""
    parcel = authentic.parcel
    if authentic.header.family != FAMILY or CHUNK not in parcel.sections or _citing(shard, authentic.header) is not None:
        return None
    return with_extras(parcel, {name: carried for name, carried in parcel.sections.items() if name != CHUNK}, {})
