"""The keys of encryption at rest: master keys from the operator's file, and the data keys that they wrap.

A data key encrypts what is stored of one host application; the database holds it wrapped by a master key. It is all
AES-256-GCM with a random nonce, and the associated data say where each value belongs: nowhere else can it be read.
"""

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from inset.settings import Settings

_KEY_LENGTH, _NONCE_LENGTH, _ID_LENGTH = 32, 12, 8


class Sealed(ValueError):
    """Something encrypted can't be opened: none of the keys fits, or it is not what was written in this place."""


@dataclass(frozen=True)
class DataKey:
    """Encrypts what is stored of one host application."""

    id: str
    host_id: str
    secret: bytes = field(repr=False)

    def seal(self, content: bytes, place: tuple[str, ...]) -> bytes:
        """Encrypt bytes for their place in the database."""
        return _seal(self.secret, content, (self.id, self.host_id, *place))

    def open(self, sealed: bytes, place: tuple[str, ...]) -> bytes:
        """Give back what was sealed for this place. Raises `Sealed`."""
        return _open(self.secret, sealed, (self.id, self.host_id, *place))


class MasterKeys:
    """The keys of one file, newest first. It is read again when one is asked for that it did not have before."""

    def __init__(self, file: Path) -> None:
        """Read the file. Raises `OSError`, or `ValueError` for one that holds anything else than keys, or none."""
        self._file = file
        self._keys = _read(file)

    @property
    def newest(self) -> str:
        """The id of the file's first key."""
        return next(iter(self._keys))

    def holds(self, id: str) -> bool:
        """Tell whether a key of this id is there, looking into the file again if it was not."""
        if id not in self._keys:
            self.read_again()
        return id in self._keys

    def read_again(self) -> None:
        """Take what is in the file now; what can't be read changes nothing."""
        try:
            # Those known before stay: while the file is changed on one machine after the other, both are in use.
            self._keys = {**_read(self._file), **self._keys}
        except (OSError, ValueError):
            return

    def wrap(self, secret: bytes, place: tuple[str, ...], *, by: str) -> bytes:
        """Encrypt a key for its place with the master key of this id, which stands in front of it."""
        return bytes.fromhex(by) + _seal(self._keys[by], secret, place)

    def unwrap(self, wrapped: bytes, place: tuple[str, ...]) -> bytes:
        """Give back a wrapped key. Raises `Sealed`."""
        id = wrapper(wrapped)
        if not self.holds(id):
            raise Sealed(f"no master key {id} is in {self._file}")
        return _open(self._keys[id], wrapped[_ID_LENGTH:], place)


@dataclass(frozen=True)
class Encryption:
    """What a process needs to read and write encrypted databases."""

    masters: MasterKeys
    writing: bool = True
    """Whether what is stored from now on is encrypted."""
    opened: dict[str, DataKey] = field(default_factory=dict)
    """The data keys that were unwrapped, by id: they never change."""


def encryption_of(settings: Settings) -> Encryption | None:
    """Give what the settings say of encryption; None if they name no master keys. Raises as `MasterKeys` does."""
    if settings.master_key_file is None:
        return None
    return Encryption(MasterKeys(settings.master_key_file), writing=settings.encrypt)


def is_wrapped(secret: bytes) -> bool:
    """Tell a wrapped key from one that is not."""
    return len(secret) > _KEY_LENGTH


def wrapper(wrapped: bytes) -> str:
    """Name the master key by which something was wrapped."""
    return wrapped[:_ID_LENGTH].hex()


def new_key() -> bytes:
    """Make a key."""
    return AESGCM.generate_key(8 * _KEY_LENGTH)


def write_master_key(file: Path) -> None:
    """Put a new master key in front of those of a file that its owner alone can read; make the file if there is none.

    It is replaced at once: whoever reads it meanwhile has the old keys or all. Raises as `MasterKeys` does.
    """
    before = file.read_bytes() if file.exists() else b""
    if before:
        _read(file)
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as private:
        private.write(urlsafe_b64encode(new_key()) + b"\n" + before)
        private.flush()
        os.fsync(private.fileno())
    part.replace(file)


def _read(file: Path) -> dict[str, bytes]:
    keys = {}
    for line in file.read_bytes().split():
        try:
            key = urlsafe_b64decode(line)
        except ValueError:
            key = b""
        if len(key) != _KEY_LENGTH:
            raise ValueError(
                f"{file} holds something else than master keys, as `inset keygen --master FILE` makes them"
            )
        keys[_id(key)] = key
    if not keys:
        raise ValueError(f"{file} holds no master key: `inset keygen --master FILE` makes one")
    return keys


def _id(key: bytes) -> str:
    return sha256(b"inset master key\0" + key).digest()[:_ID_LENGTH].hex()


def _seal(key: bytes, content: bytes, place: tuple[str, ...]) -> bytes:
    nonce = os.urandom(_NONCE_LENGTH)
    return nonce + AESGCM(key).encrypt(nonce, content, _place(place))


def _open(key: bytes, sealed: bytes, place: tuple[str, ...]) -> bytes:
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE_LENGTH], sealed[_NONCE_LENGTH:], _place(place))
    except (InvalidTag, ValueError) as exc:
        raise Sealed("it is not what was encrypted in this place") from exc


def _place(parts: tuple[str, ...]) -> bytes:
    return b"".join(len(part.encode()).to_bytes(4) + part.encode() for part in parts)
