"""Files with very deeply nested values: an error with its line, not a traceback."""

from pathlib import Path

import pytest

from penstock_server.options import ConfigFile, SettingsError


@pytest.mark.parametrize("value", ["[" * 2000, "{a = " * 2000])
def test_deeply_nested_values(tmp_path: Path, value: str) -> None:
    file = tmp_path / "penstock.toml"
    file.write_text(f'listen = "127.0.0.1:0"\na = {value}\n')
    with pytest.raises(SettingsError) as raised:
        ConfigFile(str(file))
    assert str(raised.value) == f"{file}:2: values are nested too deeply"
