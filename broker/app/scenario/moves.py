"""What an agency of a script can do, done for real: publish, dry run, check a licence, and what a thief or forger would try."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from broker import ids
from broker.app.scenario import attacks
from broker.app.scenario.border import Declaration
from broker.app.scenario.events import Event, Line
from broker.app.scenario.explain import Explanation, refused
from broker.app.scenario.judge import Got, Happened
from broker.app.scenario.script import Script, Step, moments
from broker.app.scenario.world import PATIENCE_S, Participant, World
from broker.envelope.receipt import Receipt
from broker.errors import Refusal, RefusedError, UsageError
from broker.exchange.publish import Encoded, Seat, encode_sections, prepare, preview, seal
from broker.families.message import Message
from broker.families.message_json import message_from_json
from broker.schema import json_form
from broker.service.subscriber import Delivery
from broker.storage.clock import SystemRandomness


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that was accepted, and the digest by which its bytes and receipts are found."""

    message: Message
    message_id: str
    digest: bytes


class Moves:
    """The moves of one run. Each tells what happened and gives it back for comparison."""

    def __init__(self, script: Script, world: World, tell: Callable[[Event], None], start_ms: int) -> None:
        self._script, self._world, self._tell, self._start_ms = script, world, tell, start_ms
        self._agencies = tuple(actor.agency for actor in script.actors)
        self._sent: dict[str, Sent] = {}
        self._random = SystemRandomness()

    async def make(self, step: Step) -> Happened:
        """Do what the step says, and wait until all that came of it has arrived."""
        moves = {
            "publish": self._publish, "preview": self._preview, "check": self._check, "forge": self._forge, "replay": self._replay,
            "alter": self._alter, "forward": self._forward, "strip": self._strip,
            "tamper": self._tamper,
        }  # fmt: skip
        return await moves[step.do](step, self._world.participants[step.agency])

    async def _publish(self, step: Step, sender: Participant) -> Happened:
        message = self._message(step)
        publisher = await sender.publisher()
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            handle = await publisher.publish(message)
        except RefusedError as error:
            return self._not_sent(step, message, error.refusal.code, error.refusal.reason)
        receipt = await handle.receipt(PATIENCE_S)
        took_ms = (loop.time() - began) * 1000
        await self._world.settle(receipt)
        if receipt.outcome != "ACCEPTED":
            await self._world.watch.in_quarantine(ids.outbox(sender.agency), receipt.source_offset)
            return self._not_sent(step, message, receipt.code, receipt.reason)
        self._sent[step.name] = Sent(message, handle.message_id, receipt.digest)
        explanation = self._explanation(step, message, sender, handle.message_id, receipt.admitted_at)
        self._tell(explanation.accepted(sender.agency, took_ms))
        return self._arrived(explanation, handle.message_id, receipt, began)

    def _arrived(self, explanation: Explanation, message_id: str, receipt: Receipt, began: float) -> Happened:
        """Who got what of an accepted message, by what the agencies' own subscribers took."""
        got: dict[str, Got] = {}
        denied: dict[str, str] = {}
        for agency in self._others(receipt.originator):
            found = next((a for a in self._world.participants[agency].arrivals if a.delivery.message_id == message_id), None)
            if found is None:
                line = explanation.nothing(agency, "nothing")
                denied[agency] = line.rule
            else:
                slip, sections = found.delivery.slip, frozenset(found.delivery.sections)
                got[agency] = Got(sections, found.delivery.withheld, slip.rule)
                given = {section: rule for section, rule in slip.given if section in sections}
                line = explanation.given(agency, "delivered", slip.rule, given, found.delivery.withheld, (found.at - began) * 1000)
            self._tell(line)
        promised = {each.agency: frozenset(each.sections) for each in receipt.recipients}
        return Happened("accepted", got=got, denied=denied, promised=promised)

    async def _preview(self, step: Step, sender: Participant) -> Happened:
        message = self._message(step)
        publisher = await sender.publisher()
        try:
            verdict, distribution = publisher.preview(message)
        except RefusedError as error:
            return self._not_sent(step, message, error.refusal.code, error.refusal.reason)
        if not verdict.allowed:
            return self._not_sent(step, message, "MAY_NOT_PUBLISH", verdict.reason)
        explanation = self._explanation(step, message, sender, None, self._world.clock.now_ms())
        releases = {release.agency: release for release in distribution.releases}
        got: dict[str, Got] = {}
        for agency in self._others(sender.agency):
            release = releases.get(agency)
            if release is None:
                self._tell(explanation.nothing(agency, "would get nothing"))
            else:
                given, withheld = dict(release.given), dict(release.withheld)
                got[agency] = Got(frozenset(given), withheld, release.rule)
                self._tell(explanation.given(agency, "would get", release.rule, given, withheld))
        return Happened("previewed", got=got, denied={denial.agency: denial.rule for denial in distribution.denials})

    async def _check(self, step: Step, office: Participant) -> Happened:
        standing = office.office.check(Declaration(**step.takes["declaration"]), self._world.clock.now_ms())
        held = standing.source
        line = Line(
            step.name, office.agency, standing.verdict, "licence", held.message_id if held else None, held.subject if held else "",
            held.revision if held else 0, reason="; ".join(standing.reasons), instruction=standing.instruction,
        )  # fmt: skip
        self._tell(line)
        return Happened(standing.verdict, instruction=standing.instruction)

    async def _forge(self, step: Step, forger: Participant) -> Happened:
        message, claimed = self._message(step), step.takes["claims"]
        rules = self._world.watch.knowledge.rules
        signer, now_ms = forger.member.files.signer(), self._world.clock.now_ms()
        draft = prepare(
            message, self._encoded(message, claimed), rules, originator=claimed, seat=Seat(self._random.take(16), 1, None),
            message_id=ids.message_id(now_ms, self._random.take(10)), salts=self._random.take, now_ms=now_ms, alg=signer.alg,
            kid=signer.kid,
        )  # fmt: skip
        if isinstance(draft, Refusal):
            raise UsageError(f"the forged message cannot be written: {draft.reason}", advice=draft.advice)
        return await self._put(step, forger, seal(draft, (await signer.sign([draft.signed_bytes]))[0]), message)

    async def _replay(self, step: Step, thief: Participant) -> Happened:
        sent = self._earlier(step)
        return await self._put(step, thief, self._world.watch.written[sent.digest], sent.message)

    async def _alter(self, step: Step, thief: Participant) -> Happened:
        sent = self._earlier(step)
        value = attacks.with_header(self._world.watch.written[sent.digest], step.takes["changes"], self._world.watch.knowledge.rules)
        return await self._put(step, thief, value, sent.message)

    async def _forward(self, step: Step, recipient: Participant) -> Happened:
        return await self._put(step, recipient, self._delivery(step, recipient).value, self._earlier(step).message)

    async def _strip(self, step: Step, recipient: Participant) -> Happened:
        value = attacks.without_slip(self._delivery(step, recipient).value)
        return await self._put(step, recipient, value, self._earlier(step).message)

    async def _tamper(self, step: Step, recipient: Participant) -> Happened:
        delivery, changes = self._delivery(step, recipient), step.takes["changes"]
        value = attacks.with_section(delivery.value, changes["section"], changes["old"], changes["new"])
        before = len(recipient.refused)
        await self._world.watch.put_into_inbox(recipient.agency, delivery.subject, value)
        await self._world.settle()
        for code, reason in recipient.refused[before:]:
            self._tell(refused(step, recipient.agency, code, reason, message=self._earlier(step).message))
            return Happened("refused", code)
        self._tell(Line(step.name, recipient.agency, "accepted", delivery.family, delivery.message_id, delivery.subject, delivery.revision))
        return Happened("accepted")

    async def _put(self, step: Step, writer: Participant, value: bytes, message: Message) -> Happened:
        """Write bytes into the writer's own outbox, and see what the relay makes of them."""
        watch, digest = self._world.watch, hashlib.sha256(value).digest()
        before = watch.answers.get(digest, [])[-1:]
        await writer.put(value)
        receipt, note = await watch.answered(digest, len(watch.answers.get(digest, ())) + 1)
        await self._world.settle(receipt)
        if receipt.outcome == "REFUSED":
            item = await watch.in_quarantine(ids.outbox(writer.agency), receipt.source_offset)
            self._tell(refused(step, writer.agency, receipt.code, receipt.reason, message=message, place=item.place))
            return Happened("refused", receipt.code)
        outcome = "duplicate" if before and before[0][1] == note else "accepted"
        message_id = ids.uuid_text(receipt.message_id) if receipt.message_id else None
        self._tell(Line(step.name, writer.agency, outcome, message.family, message_id, message.subject, message.revision))
        return Happened(outcome)

    def _others(self, agency: str) -> list[str]:
        return [each for each in self._agencies if each != agency]

    def _not_sent(self, step: Step, message: Message, code: str, reason: str) -> Happened:
        self._tell(refused(step, step.agency, code, reason, message=message))
        return Happened("refused", code)

    def _explanation(self, step: Step, message: Message, sender: Participant, message_id: str | None, now_ms: int) -> Explanation:
        labels = preview(message, self._encoded(message, sender.agency), originator=sender.agency, now_ms=now_ms)
        return Explanation(step, message, message_id, self._world.watch.knowledge.decider, labels, now_ms)

    def _encoded(self, message: Message, originator: str) -> Encoded:
        encoded = encode_sections(message, originator, self._world.watch.knowledge.rules)
        if isinstance(encoded, Refusal):
            raise UsageError(f"{message.subject}: {encoded.path}: {encoded.reason}", advice=encoded.advice)
        return encoded

    def _message(self, step: Step) -> Message:
        """The message that a step names, its times counted from the start of the run."""
        catalogue = self._world.watch.knowledge.rules.catalogue

        def section(family: str, name: str, content: object) -> dict[str, Any] | Refusal:
            schema = catalogue.current(family, name)
            return {} if schema is None else json_form.from_json(schema, content)

        message = message_from_json(moments(self._script.messages[step.takes["message"]], self._start_ms), section)
        if isinstance(message, Refusal):
            raise UsageError(f"message `{step.takes['message']}`: {message.path}: {message.reason}", advice=message.advice)
        return message

    def _earlier(self, step: Step) -> Sent:
        sent = self._sent.get(step.takes["of"])
        if sent is None:
            raise UsageError(f"step `{step.takes['of']}` sent nothing that was accepted", advice="name a step that published")
        return sent

    def _delivery(self, step: Step, recipient: Participant) -> Delivery:
        message_id = self._earlier(step).message_id
        for arrival in recipient.arrivals:
            if arrival.delivery.message_id == message_id:
                return arrival.delivery
        raise UsageError(f"{recipient.agency} got nothing in step `{step.takes['of']}`", advice="name a step of which it got something")
