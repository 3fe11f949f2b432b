"""Which roles the label of an abstract's section allows: `RESULTS`, `Background and Aims`, `METHODS AND FINDINGS`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, get_args

from search.article import AbstractSection

__all__ = ["ALL_ROLES", "LABEL_WORDS", "ROLES", "Role", "roles_of_label", "roles_of_section"]

#: What a sentence of an abstract is for: NLM's five categories of sections.
Role = Literal["background", "aim", "methods", "results", "conclusions"]
ROLES: tuple[Role, ...] = get_args(Role)
ALL_ROLES: frozenset[Role] = frozenset(ROLES)

_CATEGORIES: Mapping[str, Role] = {
    "BACKGROUND": "background",
    "OBJECTIVE": "aim",
    "METHODS": "methods",
    "RESULTS": "results",
    "CONCLUSIONS": "conclusions",
}

_WORDS: Mapping[Role, str] = {
    "background": "background introduction context rationale importance motivation",
    "aim": "aim aims objective objectives object purpose purposes goal goals hypothesis hypotheses question questions",
    "methods": """method methods methodology material materials design setting settings patient patients participant
        participants subject subjects intervention interventions measure measures measurement measurements procedure
        procedures sample population animals exposure exposures source sources selection search eligibility
        randomization analysis collection extraction acquisition statistical outcome outcomes""",
    "results": "result results finding findings observations synthesis",
    "conclusions": """conclusion conclusions interpretation discussion implication implications significance comment
        recommendations""",
}
_ROLE_OF_WORD: Mapping[str, Role] = {word: role for role in ROLES for word in _WORDS[role].split()}
#: The words that labels of sections are known by.
LABEL_WORDS: frozenset[str] = frozenset(_ROLE_OF_WORD)

# Sections of these say nothing of a sentence's role: funding, registration, limitations, cases, summaries.
_SILENT = re.compile(
    r"fund|financ|disclos|regist|level of evid|abbrev|keyword|copyright|availab|unlabel|unassign|graphical|conflict|"
    r"supplement|prospero|clinicaltrial|ethics|\bcase|limitation|strength|advances|expert|areas|"
    r"purpose of review|recent|summary|ethnopharm"
)
_RELEVANCE = re.compile(r"(?:clinical|conclusions? and (?:clinical )?) ?relevance")


def roles_of_section(section: AbstractSection) -> frozenset[Role]:
    """Return the roles of a section's sentences: one by NLM's category, several for a label like `BACKGROUND/AIMS`.

    All five where neither the category nor the printed label says.
    """
    printed = roles_of_label(section.label or "") or frozenset()
    if 1 < len(printed) < len(ROLES):
        return printed
    category = _CATEGORIES.get((section.category or "").upper())
    return frozenset([category]) if category else printed or ALL_ROLES


def roles_of_label(label: str) -> frozenset[Role] | None:
    """Return the roles that sentences under a printed label may have; None if it is not a label of a section.

    >>> sorted(roles_of_label("Background and Aims"))
    ['aim', 'background']
    >>> roles_of_label("CONCLUSIONS") == {"conclusions"}
    True
    """
    name = label.lower().replace("(s)", "s").strip(" :.-")
    if name.startswith("summary of background"):
        return frozenset(["background"])
    if _RELEVANCE.fullmatch(name):
        return frozenset(["conclusions"])
    if _SILENT.search(name):
        return ALL_ROLES
    roles = frozenset(_ROLE_OF_WORD[word] for word in re.findall("[a-z]+", name) if word in _ROLE_OF_WORD)
    return _narrowed(name, roles) if roles else None


def _narrowed(name: str, roles: frozenset[Role]) -> frozenset[Role]:
    """Return the roles of a label whose words name several things: `Study design and outcome` is all methods."""
    if "conclusions" in roles and re.search("conclusion|interpretation|discussion", name):
        return frozenset(["results", "conclusions"]) if "results" in roles else frozenset(["conclusions"])
    if {"methods", "results"} <= roles:
        is_result = re.search("main results|tabulation|integration|data synthesis", name) and "measure" not in name
        return frozenset(["results"]) if is_result else frozenset(["methods", "results"])
    if "methods" in roles and ("outcome" in name or re.match("(?:study|research|experimental|statistical) ", name)):
        return frozenset(["methods"])
    return roles
