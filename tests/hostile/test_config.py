"""config.yml that was made to do harm is refused in words; it does not end the process."""

import subprocess
import sys

import pytest

from search.config import load_config
from search.errors import ConfigError


def refused(tmp_path, text):
    path = tmp_path / "config.yml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    return str(caught.value)


@pytest.mark.parametrize(
    "value",
    ["!!bool x", "!!int ''", "!!float ''", "!!timestamp x", "!!binary é", "!!python/object/apply:os.system [echo]",
     "!!python/name:os.system"],
)  # fmt: skip
def test_a_value_that_is_not_what_its_tag_says(tmp_path, value):
    assert "not valid YAML" in refused(tmp_path, f"workflow: {value}")


def test_nesting_that_would_end_the_process(tmp_path):
    (tmp_path / "config.yml").write_text("workflow: " + "[" * 100_000)
    program = (
        "import sys; from search.config import load_config; from search.errors import ConfigError\n"
        "try: load_config(sys.argv[1])\n"
        "except ConfigError as error: print(error)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "config.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "not valid YAML" in done.stdout


def test_an_alias_is_read(tmp_path):
    (tmp_path / "config.yml").write_text("workflow: {a: &a {index: x}, b: {<<: *a}}\nmodel: &m minilm\nindex: *m")
    assert load_config(tmp_path / "config.yml").index == "minilm"


@pytest.mark.parametrize("key", ["nlm", "eutils"])
@pytest.mark.parametrize(
    "url",
    ["https://[::1", "https://a\\nb/", "https://", "https://a:99999/", "https:///path", "https://a b/", "file:///x"],
)
def test_an_address_that_is_none(tmp_path, key, url):
    assert f"`{key}: url` must be a web address" in refused(tmp_path, f'{key}: {{url: "{url}"}}')


def test_a_password_in_an_address_is_refused_and_not_repeated(tmp_path):
    message = refused(tmp_path, "nlm: {url: 'https://user:hunter2@mirror.example.org/'}")
    assert "without user and password, not 'mirror.example.org/'" in message
    assert "hunter2" not in message


@pytest.mark.parametrize("line", ['index: "a\\0b"', 'model: "\\0"', 'nlm: {downloads: "x\\0"}'])
def test_the_character_nul(tmp_path, line):
    assert "matching regex" in refused(tmp_path, line)


@pytest.mark.parametrize("line", ["nlm: {timeout: .nan}", "serve: {seconds: .nan}", "postgres: {timeout: .nan}"])
def test_a_limit_that_is_no_number(tmp_path, line):
    assert "expected `float` > 0" in refused(tmp_path, line)
