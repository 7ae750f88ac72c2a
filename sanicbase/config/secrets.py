"""Secret settings: which they are, how they are masked, and when they are too weak.

A secret must have at least 16 characters, 12 of them unpredictable: placeholder words, sequences and repetitions do not
count. zxcvbn is not used, because it is made for people's passwords and gives its best score to
`change-this-secret-in-production`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any, Literal, get_args

from pydantic import BaseModel, SecretBytes, SecretStr

from sanicbase.config.database_urls import Connection, hide_password

__all__ = [
    "HOW_TO_MAKE",
    "Weakness",
    "count_unpredictable",
    "hidden",
    "is_secret",
    "may_hold_secret",
    "secret_settings",
    "shown_connection",
    "weak_secrets",
    "weakness_of",
]

Weakness = Literal["empty", "short", "predictable"]

HOW_TO_MAKE = 'python -c "import secrets; print(secrets.token_urlsafe(32))"'  # the command that makes a strong one
ADDRESSES = ("URL", "CONNECTIONS", "REPLICAS", "ENDPOINT")  # may contain passwords
SECRET_NAMES = ("TOKEN", "SECRET", "PASSWORD", "KEY")
LENGTH = 16  # characters
LONG = 6  # letters; a random token has such a word once in a million
UNPREDICTABLE = 12  # characters; 48 bits when they are hexadecimal. A random token of 16 bytes has 20 or more

WORDS = (
    "access account admin after and api app auth bar baz bearer before bit by change changed changeit changeme "
    "client company cookie default demo deploy dev development django do dummy edit enter example fake fill "
    "fixme flask foo for from generate generated hello here hmac hs256 in insecure insert is it jwt keep key "
    "letmein local localhost login long main master me minimum must my no none not null of on only or pass "
    "passphrase passwd password placeholder please private prod production public put pwd random real redis "
    "refresh replace root safe salt sample secret secure server service session set should sign signing some "
    "something staging string strong super temp test testing text that the this to todo token top toor unsafe "
    "update use user value very welcome with word world write your yours 请 务必 必须 修改 更改 更换 替换 填写 "
    "填入 改成 换成 设置 这个 这里 此处 你的 您的 自己的 我的 密钥 秘钥 密码 口令 秘密 机密 令牌 随机 字符串 "
    "字符 默认 缺省 示例 例子 样例 测试 开发 生产 环境 不要 使用 一个 的 为 在 中 "
)
SEQUENCES = (
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    "9abcdef0",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
    "!@#$%^&*()",
)
# Three characters that continue a sequence, in either direction.
RUNS = frozenset(line[at : at + 3] for row in SEQUENCES for line in (row, row[::-1]) for at in range(len(line) - 2))
SPELLED = str.maketrans("01345$7@", "oleassta")  # as in p@ssw0rd


def is_secret(name: str) -> bool:
    """Whether a setting or a credential of that name is a secret."""
    return name.upper().endswith(SECRET_NAMES) and not name.upper().endswith("PUBLIC_KEY")


def may_hold_secret(name: str, secrets: Collection[str] = ()) -> bool:
    """Whether a value of that name must not be shown: a secret, one of `secrets`, or addresses with passwords."""
    return is_secret(name) or name in secrets or any(word in name for word in ADDRESSES)


def secret_settings(settings: type[BaseModel]) -> list[str]:
    """The settings that are secrets: texts with the name of a secret, and every SecretStr or SecretBytes."""
    return [
        name
        for name, field in settings.model_fields.items()
        if _holds(field.annotation, SecretStr, SecretBytes)
        or (is_secret(name) and _holds(field.annotation, str, bytes))
    ]


def _holds(annotation: object, *types: type) -> bool:
    """Whether a type is one of those, or a union with one of them."""
    inner = get_args(annotation) if not isinstance(annotation, type) else ()
    return annotation in types or any(_holds(argument, *types) for argument in inner)


def hidden(name: str, value: Any) -> Any:
    """The value with secrets and passwords masked by `***`, also in URLs and dictionaries."""
    if isinstance(value, dict):
        return {key: hidden(key, inner) for key, inner in value.items()}
    if is_secret(name):
        return "***" if value else value
    if isinstance(value, list):
        return [hidden(name, inner) for inner in value]
    return hide_password(value) if isinstance(value, str) and "://" in value else value


def weak_secrets(settings: BaseModel, *, base: type[BaseModel]) -> dict[str, Weakness]:
    """The weak secrets by the names of their settings, with the reasons.

    None means that the service does not use the secret, and so does an empty text in a setting of `base`. In a setting
    of the service itself an empty text is an error: a comparison of tokens with it would accept everybody.
    """
    service = str(getattr(settings, "SERVER_NAME", ""))
    weak: dict[str, Weakness] = {}
    for name in secret_settings(type(settings)):
        value = _plain(getattr(settings, name))
        if value is None or (not value and name in base.model_fields):
            continue
        if weakness := weakness_of(value, known=(service, *service.split("_"), *name.split("_"))):
            weak[name] = weakness
    return weak


def weakness_of(secret: str, *, known: Iterable[str] = ()) -> Weakness | None:
    """Why a secret is weak, or None. `known` has further words that attackers guess, such as the service's name."""
    if not secret.strip():
        return "empty"
    if len(secret) < LENGTH:
        return "short"
    return "predictable" if count_unpredictable(secret, known=known) < UNPREDICTABLE else None


def count_unpredictable(text: str, *, known: Iterable[str] = ()) -> int:
    """How many characters are outside of common words, sequences and repetitions."""
    return sum(1 for _ in _unpredictable(text.lower(), known))


def _unpredictable(text: str, known: Iterable[str]) -> Iterator[str]:
    """The characters that are in no known word, continue no sequence, and repeat no three earlier ones."""
    covered = {at for match in _words(known).finditer(text.translate(SPELLED)) for at in range(*match.span())}
    rest = "".join(character for at, character in enumerate(text) if at not in covered)
    seen: set[str] = set()
    for at, character in enumerate(rest):
        three = rest[max(0, at - 2) : at + 1]
        if not character.isspace() and three not in RUNS and three not in seen:
            yield character
        seen.add(three)


def _words(known: Iterable[str]) -> re.Pattern[str]:
    """A pattern for long words anywhere, and short ones only where words fill the space between two non-letters.

    Elsewhere a short word is a coincidence, as in random tokens.
    """
    texts = sorted({*WORDS.split(), *(word.lower() for word in known if word)}, key=len, reverse=True)
    patterns = [re.escape(text.translate(SPELLED)) for text in texts]
    long = [word for word in patterns if len(word) >= LONG or not word.isascii()]
    return re.compile(f"(?<![a-z])(?>{'|'.join(patterns)})+(?![a-z])|{'|'.join(long)}")


def _plain(value: object) -> str | None:
    """The text of a secret; None when it is not set, or not a text."""
    if isinstance(value, SecretStr | SecretBytes):
        value = value.get_secret_value()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else None


def shown_connection(connection: Connection) -> str:
    """The name of a database for messages, without its password."""
    if isinstance(connection, str):
        return hide_password(connection)
    credentials = connection["credentials"]
    where = credentials.get("host") or credentials.get("file_path")
    return f"{connection['engine']} at {where}:{credentials.get('port', '')}/{credentials.get('database', '')}"
