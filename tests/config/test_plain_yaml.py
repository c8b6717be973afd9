"""YAML of a stranger: small files that become large, deep or endless are refused in words."""

import pytest
from strangers import no_longer_than, no_more_memory_than

from carscale import config
from carscale.errors import ConfigError

LIMIT_S = 20
LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
)
MERGES = "a0: &a0 {x: 1}\n" + "".join(
    f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}\n" for n in range(1, 12)
)
EVIL = {
    "aliases": LAUGHS,
    "aliases at the key": LAUGHS + "optim:\n  lr: *a11\n",
    "merge keys": MERGES,
    "a loop of aliases": "a: &a [*a]\nseed: *a\n",
    "deep lists": "seed: " + "[" * 50_000,
    "deep mappings": "{a: " * 2_000 + "}" * 2_000,
    "a little deep": "seed: " + "[" * 30 + "]" * 30,
    "large": "#" * (9 << 20),
    "many values": "seed: [" + "1," * 3_000 + "]",
    "a number of many digits": "seed: " + "9" * 100_000,
    "a date that is none": "seed: 2001-99-99",
    "a number that is none": "seed: !!int ''",
    "a truth that is none": "seed: !!bool maybe",
    "a base of sixty": "seed: " + ":".join(["59"] * 5_000),
    "bytes": "seed: !!binary x",
    "a long text": "seed: " + "x" * 1_000_000,
    "a long key": "x" * 100_000 + ": 1",
    "a list as key": "? [a, b]\n: 1",
}


@pytest.mark.parametrize("kind", EVIL)
@pytest.mark.parametrize("read", ["settings", "study", "plain"])
def test_yaml_that_grows_is_refused_in_few_words(tmp_path, monkeypatch, kind, read):
    monkeypatch.setattr("carscale.config.plain_yaml.MAX_NODES", 2_000)  # so many take a moment
    path = tmp_path / "evil.yaml"
    path.write_text(EVIL[kind])
    use = {
        "settings": config.from_yaml,
        "study": config.read_study,
        "plain": config.read_plain_yaml,
    }[read]
    with no_longer_than(LIMIT_S), no_more_memory_than():
        try:
            use(path)
            said = ""
        except ConfigError as error:
            said = str(error)
    if read != "plain":  # there, a text is a text
        assert said.startswith(f"{path}: ")
    assert len(said) < 4000
    if "alias" in kind or "merge" in kind or "many" in kind[:8]:
        assert "is no YAML" in said or read == "plain"


@pytest.mark.parametrize("kind", ["aliases", "merge keys", "deep lists", "large"])
def test_a_map_that_grows_is_refused_too(tmp_path, kind):
    path = tmp_path / "map.yaml"
    path.write_text(EVIL[kind])
    with no_longer_than(LIMIT_S), pytest.raises(ConfigError, match=r"more than|deep|bytes"):
        config.read_plain_yaml(path)


def test_aliases_that_share_a_little_are_read(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text("a: &a {x: 1}\nb: *a\nc: {<<: *a, y: 2}\n")
    text, tree = config.load_yaml(path)
    assert text.startswith("a: &a")
    assert tree == {"a": {"x": 1}, "b": {"x": 1}, "c": {"x": 1, "y": 2}}


def test_a_map_of_ten_thousand_classes_is_read(tmp_path):
    path = tmp_path / "map.yaml"
    classes = {f"class {n}": {"to": f"Audi A{n} 2012", "of": ["a", "b"]} for n in range(10_000)}
    path.write_text(config.to_plain_yaml({"classes": classes}))
    assert len(config.read_plain_yaml(path)["classes"]) == 10_000


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("seeds: 3000000000", "seeds=3000000000: wanted a number of seeds"),
        ("seeds: [" + "1, " * 2000 + "2]", "wanted a number of seeds"),
        ("seeds: 1001", "at most 1000"),
        ("seeds: [99999999999999999999999]", "seeds.0=99999999999999999999999: should be"),
        ("seeds: [-1]", "seeds.0=-1: should be"),
    ],
)
def test_seeds_of_a_study_are_few_and_small(tmp_path, line, says):
    (tmp_path / "r.py").write_text("raise SystemExit")
    path = tmp_path / "s.yaml"
    path.write_text(f"recipe: r.py\narms: {{a: {{}}, b: {{seed: 1}}}}\n{line}\n")
    with no_longer_than(LIMIT_S), no_more_memory_than(), pytest.raises(ConfigError) as caught:
        config.read_study(path)
    assert says in str(caught.value)


def test_factors_of_a_study_are_not_multiplied_out(tmp_path):
    levels = "{" + ", ".join(f"l{n}: {{}}" for n in range(1000)) + "}"
    path = tmp_path / "s.yaml"
    path.write_text("factors: {" + ", ".join(f"f{n}: {levels}" for n in range(9)) + "}\n")
    with no_longer_than(LIMIT_S), pytest.raises(ConfigError, match=r"make 1000000000000000"):
        config.read_study(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_what_windows_redirects_into_a_file_is_read(tmp_path, encoding):
    (tmp_path / "a.yaml").write_text("run:\r\n  name: Škoda-比亚迪\r\n", encoding=encoding)
    text, tree = config.load_yaml(tmp_path / "a.yaml")
    assert tree == {"run": {"name": "Škoda-比亚迪"}}
    assert text.startswith("run")


def test_settings_of_another_code_page_name_what_to_do(tmp_path):
    (tmp_path / "a.yaml").write_bytes("a: Citroën".encode("cp1252"))
    with pytest.raises(ConfigError, match=r"a.yaml: can't be read: .*\n  save it as UTF-8"):
        config.load_yaml(tmp_path / "a.yaml")
