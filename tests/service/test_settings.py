from pathlib import Path

import pytest

from recontour.errors import SettingsError
from recontour.findings import words
from recontour.service.settings import example_site, read_site


def test_the_example_can_be_read(tmp_path: Path) -> None:
    file = tmp_path / "SITE.toml"
    file.write_text(example_site())
    site = read_site(file)
    assert site.folder == tmp_path / "site"
    assert site.models["head-neck"].file == tmp_path / "north.safetensors"
    assert site.rules[0].destinations == ("tps",)


@pytest.mark.parametrize(
    ("written", "instead", "said"),
    [
        ('ae_title = "RECONTOUR"', 'ae_titel = "RECONTOUR"', "unknown name in node: ae_titel"),
        ('model = "head-neck"', 'model = "neck"', "a [models.neck] for the rule head and neck"),
        ('destinations = ["tps"]', 'destinations = ["pacs"]', "a destination pacs for the rule"),
        ('address = "127.0.0.1"\nport = 8080\nlogin = true',
         'address = "0.0.0.0"\nport = 8080\nlogin = false', "login = true"),
        ('# user_header = ', 'user_header = ', "proxy beside user_header"),
        ("# calling_ae = {equals", "calling_ae = {like", "unknown name in rules.0.when.calling_ae"),
        ('# body_part = {matches = "HEAD|NECK"}', 'body_part = {matches = "("}', "a regular"),
        ("# callers = [{ae_title", "callers = [{title", "unknown name in node.callers.0: title"),
    ],
)  # fmt: skip
def test_a_mistake_is_named(tmp_path: Path, written: str, instead: str, said: str) -> None:
    file = tmp_path / "SITE.toml"
    assert written in example_site()
    file.write_text(example_site().replace(written, instead))
    with pytest.raises(SettingsError) as error:
        read_site(file)
    assert said in words(error.value.finding)
