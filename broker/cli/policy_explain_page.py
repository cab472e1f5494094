"""The page that ``broker policy explain --html`` writes: everything about one agency, or a table of all members and sections."""

from __future__ import annotations

from collections.abc import Iterator

from broker.cli.policy_explain_forms import ways_told, what_told
from broker.cli.policy_ground import Ground
from broker.cli.policy_pages import bullets, definitions, heading, page, paragraph, table, text, unbroken, verdict
from broker.policy.explain import Answer, Explained, together
from broker.policy.model import AUDIENCE, Denial, Distribution, Labels, Release, Verdict
from broker.policy.premises import moment_shown, tlp_shown


def explain_page(name: str, told: Explained, ground: Ground) -> str:
    """The page about one agency."""
    labels, member = told.situation.labels, told.situation.member
    head = definitions(
        (
            ("Agency", f"{member.agency}, {member.kind}, {member.country}"),
            ("Member of", ", ".join(member.communities) or "no community"),
            ("Standing", "suspended" if member.suspended else "active"),
        )
    )
    answers = (_answer(told, names, answer) for names, answer in together(told.answers))
    return page(
        f"What {member.agency} may see of {name}, and why",
        _summary(told),
        heading(2, "The message"),
        _labels(labels, told.situation.now_ms, ground),
        heading(2, "The agency"),
        head,
        heading(2, "The answers"),
        *answers,
    )


def overview_page(name: str, labels: Labels, now_ms: int, publish: Verdict, distribution: Distribution, ground: Ground) -> str:
    """The page about all members: a row for each, a column for each section."""
    sections = [section for section in labels.sections if section != AUDIENCE]
    answers = sorted((*distribution.releases, *distribution.denials), key=lambda each: each.agency)
    used = {publish.rules[0], *(rule for each in answers for rule in _rules(each))}
    rules = [(text(rule.id), text(rule.title), text(rule.basis)) for rule in ground.bundle.rules() if rule.id in used]
    return page(
        f"Who may see what of {name}",
        heading(2, "The message"),
        _labels(labels, now_ms, ground),
        f"<p>{text(labels.originator)} {verdict('may', good=True) if publish.allowed else verdict('may not', good=False)} "
        f"publish it: {text(publish.reason)}</p>",
        heading(2, "Members and sections"),
        table("Each member but the originator", ["Agency", "Receives it", *sections], (_row(each, sections) for each in answers)),
        paragraph("default-deny: no rule gives it.", "soft"),
        heading(2, "The rules that decided"),
        table("Rules by name", ["Rule", "What it says", "Where it comes from"], rules),
    )


def _rules(answer: Release | Denial) -> tuple[str, ...]:
    if isinstance(answer, Denial):
        return (answer.rule,)
    return (answer.rule, *(rule for _, rule in (*answer.given, *answer.withheld)))


def _row(answer: Release | Denial, sections: list[str]) -> list[str]:
    if isinstance(answer, Denial):
        return [unbroken(answer.agency), _cell("no", answer.rule), *(_cell("no", "") for _ in sections)]
    given, kept = dict(answer.given), dict(answer.withheld)
    cells = (_cell("yes", given[section]) if section in given else _cell("no", kept.get(section, "")) for section in sections)
    return [unbroken(answer.agency), _cell("yes", answer.rule), *cells]


def _cell(word: str, rule: str) -> str:
    return verdict(word, good=word == "yes") + (f'<br><span class="soft">{text(rule)}</span>' if rule else "")


def _labels(labels: Labels, now_ms: int, ground: Ground) -> str:
    audience = [*labels.audience_agencies, *labels.audience_communities, *labels.audience_countries]
    return definitions(_pairs(labels, now_ms, ground, ", ".join(audience)))


def _pairs(labels: Labels, now_ms: int, ground: Ground, audience: str) -> Iterator[tuple[str, str]]:
    yield "Family", labels.family
    yield "Originator", labels.originator
    yield (
        "Marks",
        ", ".join([f"TLP:{tlp_shown(labels.tlp)}", labels.handling, *([f"PAP:{labels.pap}"] if labels.pap else []), labels.urgency]),
    )
    yield "Purposes", ", ".join(labels.purposes) or "none"
    yield "Countries", ", ".join(f"{country} {role}" for country, role in labels.countries) or "none"
    yield "Sections", ", ".join(section for section in labels.sections if section != AUDIENCE) or "none"
    yield "Audience", audience or "nobody named"
    for consent in labels.consents:
        span = f"from {moment_shown(consent.from_ms)} until {moment_shown(consent.until_ms)}"
        what = f"{', '.join(consent.sections) or 'all sections'}{', and to use it in court' if consent.evidential else ''}"
        yield "Opened in an emergency to" if consent.emergency else "Consent to", f"{consent.agency}: {what}, {span}"
    if labels.valid_until_ms is not None:
        yield "Valid until", moment_shown(labels.valid_until_ms)
    if labels.embargo_until_ms is not None:
        yield "Embargo until", moment_shown(labels.embargo_until_ms)
    yield "Decided at", moment_shown(now_ms)
    yield "Rules", f"{ground.told}, digest {ground.bundle.digest.hex()}"


def _summary(told: Explained) -> str:
    given = [answer.what for answer in told.answers if answer.allowed]
    denied = [answer.what for answer in told.answers if not answer.allowed]
    return table(
        "In short",
        ["Allowed", "Not allowed"],
        [(verdict(", ".join(given) or "nothing", good=True), verdict(", ".join(denied) or "nothing", good=False))],
    )


def _answer(told: Explained, names: tuple[str, ...], answer: Answer) -> str:
    said = what_told(names, allowed=answer.allowed)
    parts = [heading(3, f"{'Yes' if answer.allowed else 'No'}: {told.situation.member.agency} {said}")]
    for each in answer.rules:
        parts.append(f"<p>{text(each.rule.title)} <code>{text(each.rule.id)}</code></p>")
        parts.append(paragraph(f"From: {each.rule.basis}", "soft"))
        parts.append(paragraph("The rule read:") + bullets(each.facts) if each.facts else paragraph("The rule has no condition."))
    if not answer.rules:
        parts.append(paragraph(answer.reason or "No rule gives it, and what no rule gives is not given."))
    if sentence := ways_told(told, answer):
        parts.append(paragraph(sentence))
    return "\n".join(parts)
