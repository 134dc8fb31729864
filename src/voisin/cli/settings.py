"""Settings of the command line: `voisin.toml` in the working folder, then `VOISIN_*` variables, then options."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from voisin.errors import InputError

if TYPE_CHECKING:
    from voisin.cli.session import Globals

SETTINGS_FILE = "voisin.toml"


class CliSettings(BaseSettings):
    """What the command line can be told once for all."""

    model_config = SettingsConfigDict(env_prefix="VOISIN_", toml_file=SETTINGS_FILE, frozen=True, extra="forbid", env_ignore_empty=True)

    home: Path = Field(Path("~/.voisin"), description="Home folder with box.json and wallets.")
    wallet: str | None = Field(None, description="Wallet that signs and pays: a name in the home folder, or a keystore file.")
    password_file: Path | None = Field(None, description="File with the wallet's password on its first line.")
    network: str | None = Field(None, description="Public network to use instead of the home folder's market, for example arbitrum.")
    rpc_url: str | None = Field(None, description="Node of a chain that is not the box's: for `chain deploy`, and for a public network.")
    market_url: str | None = Field(None, description="Order book that follows a public network's hub.")
    replicas: int = Field(2, ge=1, description="How many workers must agree on each result [workers].")
    max_price: str | None = Field(None, description='Most that one task may cost in all [RLC], for example "0.1 RLC".')
    workers: int = Field(3, ge=0, le=64, description="Worker processes of a box [processes].")
    port: int = Field(8545, ge=0, le=65_530, description="First of the eight ports of a box; 0 takes free ones.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  the parameters are the base class's
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put options before variables before the file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def read_settings(given: Globals) -> CliSettings:
    """
    Read the settings.

    Args:
        given: The options, which come first.

    Raises:
        InputError: A setting has a wrong value, or there is no such setting.
    """
    options = {"home": given.home, "wallet": given.wallet, "password_file": given.password_file, "network": given.network}
    try:
        return CliSettings(**{name: value for name, value in options.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        problem = error.errors()[0]
        name = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            known = ", ".join(CliSettings.model_fields)
            raise InputError(f"there is no setting {name!r}", hint=f"the settings are {known}") from None
        raise InputError(
            f"the setting {name!r} cannot be used: {problem['msg']}", hint=f"see {SETTINGS_FILE} and VOISIN_{name.upper()}"
        ) from None
    except ValueError as error:
        raise InputError(f"{SETTINGS_FILE} is malformed: {error}", hint="it is a TOML file") from None
