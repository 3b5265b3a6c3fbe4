"""The files of Elasticsearch, Logstash and Kibana against what the platform writes and what their templates name."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ov2xmp import settings
from ov2xmp.logformat import CONTEXT, FIELDS

ELK = Path(__file__).parents[2] / "elk"
PIPELINE = (ELK / "logstash.conf").read_text("utf-8")
# A field of the platform and what the pipeline makes of it.
RENAMED = dict(re.findall(r'^\s+"(@?\w+)" => "((?:\[\w+\])+)"$', PIPELINE, re.MULTILINE))


def mappings() -> dict[str, Any]:
    script = (ELK / "elk-setup.sh").read_text("utf-8")
    template = re.search(r"/_index_template/logs-ov2xmp '(.*?)'$", script, re.DOTALL | re.MULTILINE)
    assert template
    return json.loads(template[1])["template"]["mappings"]["properties"]  # type: ignore[no-any-return]


def is_mapped(field: str) -> bool:
    """Tell whether Elasticsearch indexes a field, written as in a pipeline: ``[log][level]``."""
    properties = mappings()
    *outer, last = re.findall(r"[@\w]+", field)
    for name in outer:
        properties = properties[name]["properties"]
    return "type" in properties.get(last, {})


def test_the_pipeline_renames_fields_that_the_platform_writes() -> None:
    assert RENAMED
    assert RENAMED.keys() <= set(FIELDS)


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_of_a_line_can_be_searched(field: str) -> None:
    assert is_mapped(RENAMED.get(field, field))


def test_what_a_line_belongs_to_has_the_same_name_everywhere() -> None:
    assert not RENAMED.keys() & set(CONTEXT)


def test_logstash_listens_where_the_platform_sends() -> None:
    assert re.search(r"tcp \{\s+port => (\d+)", PIPELINE)[1] == str(settings.LOGSTASH_PORT)  # type: ignore[index]


@pytest.mark.parametrize("name", ["elasticsearch.yml", "kibana.yml", "logstash.yml"])
def test_a_configuration_is_yaml(name: str) -> None:
    assert isinstance(yaml.safe_load((ELK / name).read_text("utf-8")), dict)


def test_every_secret_has_a_variable_that_is_made_and_no_value() -> None:
    wanted = set()
    for path in (ELK / "kibana.yml", ELK / "logstash.conf"):
        wanted |= set(re.findall(r"\$\{(\w+)\}", path.read_text("utf-8")))
    wanted |= set(re.findall(r"\w+_PASSWORD", (ELK / "elk-setup.sh").read_text("utf-8")))
    assert wanted
    templates = "\n".join(path.read_text("utf-8") for path in ELK.glob(".env-*_template"))
    assert {name for name in wanted if f"# make env: random\n{name}=\n" not in f"{templates}\n"} == set()
