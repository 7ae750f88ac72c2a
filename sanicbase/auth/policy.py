"""Permissions: what roles may do, and what depends on the object."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sanic.exceptions import Forbidden, Unauthorized

from sanicbase.auth.audit import log_audit
from sanicbase.errors import SanicBaseError
from sanicbase.http.guards import USER_CHECKS, user_checks
from sanicbase.http.user_id import user_id

__all__ = ["Policy"]

User = TypeVar("User")
Place = TypeVar("Place", bound=Callable[..., Any])  # a view or a method
Function = TypeVar("Function", bound=Callable[..., bool])

ANONYMOUS = "anonymous"
EVERYTHING = "*"


@dataclass(frozen=True)
class Rule:
    """A function that decides about one object, and whether it is called for anonymous clients."""

    decide: Callable[..., bool]
    anonymous: bool


class Policy(Generic[User]):
    """Who may do what in a service. Everything that is not declared is denied:

        policy: Policy[UserRC] = Policy(
            roles={"author": ["articles.write"], "editor": ["articles.write", "articles.change"]},
            roles_of=lambda user: user.roles,
        )

        @policy.rule("articles.change")
        def is_author(user: UserRC, article: ArticleRC) -> bool:
            return article.author_id == user.id

    A user with a role that has the action may do it with every object; others may do it with the objects for which a
    rule of the action returns True. `"*"` in a role is every action. `permissions_of` gives actions to single users,
    `anonymous` to clients without a user. An action that neither a role nor a rule declares raises SanicBaseError
    wherever it is used, so that a misspelled one is noticed when the service is imported.
    """

    def __init__(
        self,
        roles: Mapping[str, Collection[str]] | None = None,
        *,
        roles_of: Callable[[User], Collection[str]] = lambda user: (),
        permissions_of: Callable[[User], Collection[str]] | None = None,
        anonymous: Collection[str] = (),
    ) -> None:
        roles = roles or {}
        if isinstance(anonymous, str) or any(isinstance(actions, str) for actions in roles.values()):
            raise SanicBaseError('The actions of a role are a list: write ["articles.write"].')
        self._roles = {name: frozenset(actions) for name, actions in roles.items()}
        self._roles_of = roles_of
        self._permissions_of = permissions_of
        self._anonymous = frozenset(anonymous)
        self._rules: dict[str, list[Rule]] = {}
        self._actions = {*self._anonymous, *(action for actions in self._roles.values() for action in actions)}
        self._actions.discard(EVERYTHING)

    @property
    def actions(self) -> list[str]:
        """All actions, sorted."""
        return sorted(self._actions)

    def rule(self, *actions: str, anonymous: bool = False) -> Callable[[Function], Function]:
        """A decorator: the function decides about these actions by the user and the object. It is called for anonymous
        clients, with None as the user, only if `anonymous` is set."""

        def add(function: Function) -> Function:
            for action in actions:
                self._rules.setdefault(action, []).append(Rule(function, anonymous))
            self._actions.update(actions)
            return function

        return add

    def may(self, user: User | None, action: str, obj: object = None) -> bool:
        """Whether the user, or an anonymous client (None), may do that, either by a role or by a rule for the
        object."""
        self._check(action)
        if self._holds(user, action):
            return True
        if obj is None:
            return False
        rules = self._rules.get(action, ())
        return any(rule.decide(user, obj) is True for rule in rules if rule.anonymous or user is not None)

    def require(self, user: User | None, action: str, obj: object = None) -> None:
        """Raise Forbidden unless the user may do that, and Unauthorized for an anonymous client."""
        if not self.may(user, action, obj):
            if user is None:
                raise Unauthorized("Authentication is required.")
            log_audit("permission_denied", user=user_id(user) or "", action=action)
            raise Forbidden("You do not have permission.")

    def requires(self, *actions: str) -> Callable[[Place], Place]:
        """A decorator for views (APIView, WSView) and methods: the roles of the user must grant all these actions.

        They are checked before the body is read. Check what depends on an object with `require` in the method.
        """
        for action in actions:
            self._check(action)

        def check(user: User | None) -> None:
            for action in actions:
                self.require(user, action)

        check.__name__ = ", ".join(actions)

        def mark(place: Place) -> Place:
            setattr(place, USER_CHECKS, (*user_checks(place), check))
            return place

        return mark

    def table(self) -> list[tuple[str, ...]]:
        """Who can do what: a row for each action, a column for anonymous clients and each role.

        A cell is `yes`, `rule` where it depends on the object, or empty. `print(policy)` shows the table.
        """
        head = ("action", ANONYMOUS, *self._roles)
        return [head, *((action, *self._cells(action)) for action in self.actions)]

    def __str__(self) -> str:
        rows = self.table()
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        padded = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
        return "\n".join(line.rstrip() for line in padded)

    def _cells(self, action: str) -> list[str]:
        rules = self._rules.get(action, ())
        anonymous = "rule" if any(rule.anonymous for rule in rules) else ""
        cells = ["yes" if action in self._anonymous else anonymous]
        other = "rule" if rules else ""
        grants = (granted | self._anonymous for granted in self._roles.values())
        return [*cells, *("yes" if {action, EVERYTHING} & granted else other for granted in grants)]

    def _holds(self, user: User | None, action: str) -> bool:
        if action in self._anonymous:
            return True
        if user is None:
            return False
        granted = (self._roles.get(role, frozenset()) for role in self._roles_of(user))
        if any(action in actions or EVERYTHING in actions for actions in granted):
            return True
        return self._permissions_of is not None and action in self._permissions_of(user)

    def _check(self, action: str) -> None:
        if action not in self._actions:
            listed = ", ".join(self.actions) or "none"
            raise SanicBaseError(f"No role and no rule has the action {action!r}. Declare it; there are: {listed}.")
