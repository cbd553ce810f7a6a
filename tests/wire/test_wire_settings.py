"""Settings: precedence, errors that name flag and source, help that is true."""

from __future__ import annotations

from typing import ClassVar

import pytest
from click.testing import CliRunner
from pydantic import Field

from quiver_proto.errors import BadMemoryString, BadSetting, PortInUse
from quiver_proto.settings import DaemonSettings, MemoryBytes, command, load, table


class ToolSettings(DaemonSettings):
    daemon: ClassVar[str] = "tool"

    memory: MemoryBytes = Field(1 << 30, description="Memory to use.")
    label: tuple[str, ...] = Field((), description="A label; may be given several times.")
    steal: bool = Field(False, description="Take work from others.")


def write(path, text):
    path.write_text(text)
    return str(path)


def test_flags_win_over_environment_over_file_over_default(tmp_path):
    config = write(tmp_path / "q.toml", "[tool]\nport = 1\nlog-level = 'error'\ndrain_timeout_s = 1.5\n[other]\nport = 9\n")
    environ = {"QUIVER_TOOL_PORT": "2", "QUIVER_TOOL_LOG_LEVEL": "warning"}
    got = load(ToolSettings, {"port": "3", "host": None}, environ, config)
    assert (got.port, got.log_level, got.drain_timeout_s, got.host) == (3, "warning", 1.5, "127.0.0.1")
    assert load(ToolSettings, {}, environ | {"QUIVER_TOOL_CONFIG": config}).drain_timeout_s == 1.5


def test_sizes_lists_and_switches():
    environ = {"QUIVER_TOOL_MEMORY": "4g", "QUIVER_TOOL_LABEL": "a=1,b=2", "QUIVER_TOOL_STEAL": "true"}
    got = load(ToolSettings, {}, environ)
    assert (got.memory, got.label, got.steal) == (4 << 30, ("a=1", "b=2"), True)
    assert load(ToolSettings, {"label": ("c",), "steal": False}, environ).label == ("c",)


@pytest.mark.parametrize(
    ("flags", "environ", "config", "says"),
    [
        ({"port": "many"}, {}, "", r"setting --port='many': .*integer"),
        ({"port": "70000"}, {}, "", r"--port='70000'.*65535"),
        ({}, {"QUIVER_TOOL_PORT": "-1"}, "", r"--port \(QUIVER_TOOL_PORT\)='-1'"),
        ({}, {}, "[tool]\nport = 'x'", r"--port \(.*q.toml\)='x'"),
        ({}, {}, "[tool]\nprot = 1", r"prot in .*q.toml='1'.*no such setting; see tool --help"),
        ({}, {}, "tool = 3", r"\[tool\] must be a table"),
        ({}, {}, "[tool", r"--config=.*is not TOML"),
        ({"log_format": "xml"}, {}, "", r"--log-format='xml'.*'text' or 'json'"),
        ({"tls_cert": "a"}, {}, "", r"--tls-cert, --tls-key and --tls-ca go together"),
    ],
)
def test_a_bad_setting_names_its_flag_and_its_source(tmp_path, flags, environ, config, says):
    path = write(tmp_path / "q.toml", config) if config else ""
    with pytest.raises(BadSetting, match=says):
        load(ToolSettings, flags, environ, path)


def test_a_bad_size_says_so_as_everywhere():
    with pytest.raises(BadMemoryString, match=r"--memory \(QUIVER_TOOL_MEMORY\): 'lots' is not an amount of memory"):
        load(ToolSettings, {}, {"QUIVER_TOOL_MEMORY": "lots"})


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BadSetting, match=r"--config=.*no.toml.*can't be read"):
        load(ToolSettings, {}, {}, str(tmp_path / "no.toml"))


def test_settings_do_not_change():
    with pytest.raises(ValueError, match="frozen"):
        load(ToolSettings, {}, {}).port = 3


def run(settings):
    print(f"port {settings.port} memory {settings.memory} labels {settings.label} steal {settings.steal}")
    if settings.port == 13:
        raise PortInUse("127.0.0.1", 13)
    return 7 if settings.port == 7 else 0


def invoke(*arguments, **environ):
    return CliRunner().invoke(command(ToolSettings, run, "A tool."), arguments, env=environ)


def test_the_command_line():
    done = invoke("--port", "5", "--memory", "2g", "--label", "a", "--label", "b", "--steal")
    assert (done.exit_code, done.output) == (0, f"port 5 memory {2 << 30} labels ('a', 'b') steal True\n")
    assert invoke(QUIVER_TOOL_PORT="6").output.startswith("port 6 ")
    assert invoke("--port", "7").exit_code == 7


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--port", "x"], 2, "tool: setting --port='x'"),
        (["--memory", "x"], 2, "tool: --memory: 'x' is not an amount"),
        (["--nonsense"], 2, "No such option"),
        (["--port", "13"], 1, "tool: port 13 on 127.0.0.1 is in use"),
    ],
)
def test_what_is_wrong_is_told_in_a_line_with_its_exit_code(arguments, code, says):
    done = invoke(*arguments)
    assert done.exit_code == code
    assert says in done.output
    assert "Traceback" not in done.output


def test_help_and_table_hold_every_setting_with_its_default():
    text, rows = " ".join(invoke("--help").output.split()), table(ToolSettings)
    for field, info in ToolSettings.model_fields.items():
        flag = "--" + field.replace("_", "-")
        assert flag in text
        assert str(info.description).split(". [")[0] in text
        assert f"| `{flag}` | `QUIVER_TOOL_{field.upper()}` |" in rows
    assert "[default: 127.0.0.1]" in text
    assert "--steal / --no-steal" in text
