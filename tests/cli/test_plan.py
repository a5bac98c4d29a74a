"""`fastload plan`: it says what run would do and who decided it, finds what run would refuse, and does nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fastload.outputs.terminal.plan import plan_text, print_plan
from tests.conftest import Cli
from tests.outputs.terminal.consoles import memory_console

SCRIPT = """
import fastload as fl

spent = fl.Trend("spent", unit="ms")


async def read(vu: fl.VU) -> None:
    await vu.get("/health")


async def write(vu: fl.VU) -> None:
    await vu.get("/stats")


mixed = fl.scenario(name="mixed", tasks={read: 3, write: 1}, stages=["10s:20", "30s:20"], graceful_stop="5s")


@fl.scenario(rate="50/s", duration="45s", max_vus=50, start_time="5s", thresholds={"checks": "rate>0.9"})
async def poll(vu: fl.VU) -> None:
    await vu.get("/stats", name="poll")
"""
CONFIG = """
vus = 3
base_url = "http://me:secret@localhost:1"
seed = 7
[tags]
team = "shop"
[thresholds]
checks = "rate>0.5"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(SCRIPT)
    (tmp_path / "fastload.toml").write_text(CONFIG)
    return tmp_path


def described(cli: Cli, *args: str, **env: str) -> dict[str, Any]:
    done = cli("plan", "shop.py", *args, "--json", **env)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_plan_as_data(cli: Cli, folder: Path) -> None:
    plan = described(cli, "-w", "2", "--warmup", "5s", FASTLOAD_VUS="9")
    assert (plan["duration_s"], plan["longest_s"], plan["warmup_s"]) == (55.0, 85.0, 5.0)
    assert (plan["max_vus"], plan["workers"], plan["vus_per_worker"], plan["seed"]) == (70, 2, 35, 7)
    assert plan["base_url"] == "http://localhost:1"
    mixed, poll = plan["scenarios"]
    assert [(one["name"], one["weight"]) for one in mixed["functions"]] == [("read", 3), ("write", 1)]
    assert (mixed["starts_at_s"], mixed["ends_at_s"], mixed["ends_at_the_latest_s"]) == (0.0, 40.0, 45.0)
    assert (poll["executor"], poll["model"], poll["iterations"], poll["starts_per_s_per_worker"]) == (
        "constant-arrival-rate",
        "open",
        2250.0,
        25.0,
    )
    assert plan["thresholds"] == ["checks: rate>0.9"]
    assert plan["metrics"] == [{"name": "spent", "kind": "trend", "unit": "ms"}]
    rows = {(row["scenario"], row["option"]): row for row in plan["options"]}
    assert rows["", "vus"]["set_by"] == "FASTLOAD_VUS"
    assert rows["", "vus"]["overridden"] == [{"value": "3", "set_by": "fastload.toml"}]
    assert rows["poll", "rate"]["set_by"].startswith("script shop.py:")
    assert rows["", "workers"]["set_by"] == "command line"
    assert rows["", "thresholds.checks"]["overridden"] == [{"value": "rate>0.5", "set_by": "fastload.toml"}]


@pytest.mark.parametrize("width", [80, 100])
def test_the_plan_as_text_fits_its_width(cli: Cli, folder: Path, width: int) -> None:
    done = cli("plan", "shop.py", "-d", "20s", "--tag", "run=nightly", COLUMNS=str(width))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= width
    assert done.stderr == ""
    text = " ".join(done.stdout.split())
    for wanted in (
        "PLAN shop.py",
        "duration 25s, at most 55s with graceful stops",
        "VUs 51 at most",
        "against http://localhost:1",
        "mixed 1 VU for 20s",
        "expected 1,000 iterations",
        "tags team=shop, run=nightly",
        "calls read (shop.py:7), 75.00% (weight 3)",
        "write (shop.py:11), 25.00% (weight 1)",
        "checks: rate>0.9",
        "spent (trend, ms)",
        "mixed.stages - replaced by duration (command line)",
        "✗ 10s:20, 30s:20 script shop.py:7",
        "✗ 45s script shop.py",
        "✗ rate>0.5 fastload.toml",
    ):
        assert wanted in text, wanted
    assert "secret" not in done.stdout


def test_options_with_long_names_can_be_told_apart_in_80_columns(cli: Cli, folder: Path) -> None:
    """Two thresholds on one metric were the same text."""
    thresholds = "".join(
        f"'http_req_duration{{name:/api/v1/customers/{one}}}' = 'p(95)<500'\n" for one in ("orders", "baskets")
    )
    (folder / "long.toml").write_text(f"[thresholds]\n{thresholds}")
    done = cli("plan", "shop.py", "--config", "long.toml", COLUMNS="80")
    names = [
        line.split("p(95)")[0] for line in done.stdout.splitlines() if "http_req_d" in line and "long.toml" in line
    ]
    assert len(names) == 2, done.stdout
    assert all("…" in name for name in names)
    assert len(set(names)) == 2


def test_text_and_data_are_the_same_plan(cli: Cli, folder: Path) -> None:
    data = described(cli)
    data["options"] = [row for row in data["options"] if row["option"] != "json"]
    assert cli("plan", "shop.py", COLUMNS="100").stdout == plan_text(data)
    console, stream = memory_console(40)
    print_plan(console, data)
    assert max(map(len, stream.getvalue().splitlines())) <= 40


def test_nothing_is_started_looked_up_or_written(cli: Cli, folder: Path) -> None:
    before = sorted(path.name for path in folder.iterdir())
    args = ("--base-url", "http://no-such-host.invalid", "--summary", "s.json", "--control", "0")
    plan = described(cli, *args)
    assert plan["base_url"] == "http://no-such-host.invalid"
    plan = described(cli, "--target", "sequencer")
    assert (plan["target"], plan["base_url"]) == ("sequencer", "")
    assert sorted(path.name for path in folder.iterdir() if path.name != "__pycache__") == before


@pytest.mark.parametrize(
    ("args", "message", "hint"),
    [
        (("shop.py", "--duratoin", "5s"), "No such option", "--duration"),
        (("shop.py", "-s", "30"), "mixed: stage '30' is not DURATION:VUS", 'write it like "30s:10"'),
        (("shop.py", "--scenario", "pol"), "there is no scenario 'pol' in the script", "did you mean 'poll'?"),
        (("shop.py", "--threshold", "spnt: p(95)<1"), "threshold on 'spnt': there is no metric", "'spent'"),
        (("shop.py", "--control", "x"), "--control 'x' is not PORT or HOST:PORT", "write it like 6565"),
        (("shop.py", "--target", "sequencr"), "no target is called 'sequencr'", "did you mean 'sequencer'?"),
        (("shop.py", "--target", "sequencer", "--base-url", "http://a"), "exclude each other", ""),
        (("shop.py", "--tag", "x"), "--tag 'x' is not NAME=VALUE", "team=checkout"),
        (("shop.py", "-H", "x"), "header 'x' is not NAME:VALUE", "Accept"),
        (("shop.py", "--arrivals", "poison"), "'poison' is not one of", ""),
        (("shop.py", "--executor", "constant-vu"), "there is no executor 'constant-vu'", "'constant-vus'"),
        (("shop.py", "--trace", "none.txt"), "none.txt' cannot be read", ""),
        (("shp.py",), "there is no script 'shp.py'", "did you mean 'shop.py'?"),
        (("shop.js",), "shop.js is a script of k6", "--opts"),
    ],
)
def test_mistakes_are_told_with_a_hint(cli: Cli, folder: Path, args: tuple[str, ...], message: str, hint: str) -> None:
    done = cli("plan", *args)
    assert done.returncode == 104
    assert message in done.stderr
    assert hint in done.stderr
    assert done.stdout == ""


def test_run_refuses_the_same(cli: Cli, folder: Path) -> None:
    for args in (("--opts", "o.json"), ("-s", "30"), ("--scenario", "pol")):
        refused = [cli(command, "shop.py", *args) for command in ("plan", "run")]
        assert [done.returncode for done in refused] == [104, 104]
        assert refused[0].stderr == refused[1].stderr


def test_what_has_no_effect_is_noted(cli: Cli, folder: Path) -> None:
    (folder / "o.json").write_text('{"vus": 4, "systemTags": []}')
    assert described(cli, "--opts", "o.json")["notes"] == ["o.json: systemTags has no effect here"]
    assert "systemTags has no effect" in cli("plan", "shop.py", "--opts", "o.json").stdout


def test_a_configured_environment_is_there_while_the_script_is_read(cli: Cli, folder: Path) -> None:
    (folder / "env.py").write_text(
        "import os\nimport fastload as fl\n\n@fl.scenario(vus=int(os.environ['USERS']))\n"
        "async def visit(vu: fl.VU) -> None: ...\n"
    )
    (folder / "fastload.toml").write_text("[env]\nUSERS = 4\n")
    for args, env, vus in (((), {}, 4), ((), {"USERS": "5"}, 5), (("-e", "USERS=6"), {"USERS": "5"}, 6)):
        done = cli("plan", "env.py", "--json", *args, **env)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["max_vus"] == vus


@pytest.mark.parametrize("declared", ["@fl.scenario(vus=1)", "@fl.setup", "@fl.teardown"])
def test_what_is_declared_twice_under_one_name_is_refused(cli: Cli, tmp_path: Path, declared: str) -> None:
    """Python keeps the last one, and the first one would make no load without a word."""
    function = f"{declared}\nasync def visit(vu):\n    await vu.get('/')\n\n"
    other = "@fl.scenario(vus=1)\nasync def other(vu):\n    await vu.get('/')\n"
    (tmp_path / "script.py").write_text(f"import fastload as fl\n\n{function}{function}{other}")
    done = cli("plan", "script.py", "--base-url", "http://127.0.0.1:9")
    assert done.returncode == 104
    assert "declares visit twice, in lines 4 and 8" in done.stderr


LOOP = """
import fastload as fl

for path in ("/a", "/b", "/c"):
    @fl.scenario({name}vus=1, iterations=2)
    async def visit(vu, path=path):
        await vu.get(path)
"""
FACTORY = """
import fastload as fl

def make(path):
    @fl.scenario({name}vus=1, iterations=2)
    async def visit(vu):
        await vu.get(path)
    return visit

first = make("/a")
for other in ("/b", "/c"):
    last = make(other)
"""
TASKS = """
import fastload as fl

async def visit(vu):
    await vu.get(path)

for path in ("/a", "/b", "/c"):
    mixed = fl.scenario({name}tasks={{visit: 1}}, vus=1, iterations=2)
"""


@pytest.mark.parametrize("script", [LOOP, FACTORY, TASKS], ids=["loop", "factory", "tasks"])
def test_scenarios_made_in_one_place_all_run_under_their_names(cli: Cli, tmp_path: Path, script: str) -> None:
    (tmp_path / "script.py").write_text(script.format(name="name=path, "))
    done = cli("plan", "script.py", "--base-url", "http://127.0.0.1:9", "--json")
    assert done.returncode == 0, done.stderr
    assert sorted(one["name"] for one in json.loads(done.stdout)["scenarios"]) == ["/a", "/b", "/c"]


@pytest.mark.parametrize("script", [LOOP, FACTORY, TASKS], ids=["loop", "factory", "tasks"])
def test_scenarios_made_in_one_place_under_one_name_are_refused(cli: Cli, tmp_path: Path, script: str) -> None:
    name = 'name="visit", ' if script is TASKS else ""
    (tmp_path / "script.py").write_text(script.format(name=name))
    done = cli("plan", "script.py", "--base-url", "http://127.0.0.1:9")
    assert done.returncode == 104
    line = script.splitlines().index(next(line for line in script.splitlines() if "fl.scenario(" in line)) + 1
    assert f"script.py declares visit again and again, in line {line} of script.py" in done.stderr
    assert "@fl.scenario(name=...)" in done.stderr


def test_a_scenario_that_another_one_replaces_below_the_top_level_is_refused(cli: Cli, tmp_path: Path) -> None:
    function = "    @fl.scenario(vus=1)\n    async def visit(vu):\n        await vu.get('/')\n"
    (tmp_path / "script.py").write_text(f"import fastload as fl\nif True:\n{function}if True:\n{function}")
    done = cli("plan", "script.py", "--base-url", "http://127.0.0.1:9")
    assert done.returncode == 104
    assert "declares visit twice, in lines 3 and 7 of script.py" in done.stderr


def test_scenarios_of_a_module_run_only_if_the_script_imports_them(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "flows.py").write_text(
        "import fastload as fl\ndef mine(f):\n    return fl.scenario(vus=1)(f)\n"
        "@mine\nasync def one(vu): ...\n@mine\nasync def two(vu): ...\n"
        "@fl.scenario(vus=1)\nasync def visit(vu): ...\n"
    )
    (tmp_path / "script.py").write_text(
        "import fastload as fl\nfrom flows import one\n@fl.scenario(vus=1)\nasync def visit(vu): ...\n"
    )
    done = cli("plan", "script.py", "--base-url", "http://127.0.0.1:9", "--json")
    assert done.returncode == 0, done.stderr
    assert [one["name"] for one in json.loads(done.stdout)["scenarios"]] == ["one", "visit"]


def test_scenarios_that_nothing_keeps_are_told(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(
        "import fastload as fl\nasync def visit(vu): ...\nfl.scenario(name='/a', vus=1)(visit)\n"
    )
    done = cli("plan", "script.py", "--base-url", "http://127.0.0.1:9")
    assert done.returncode == 104
    assert "scenario /a is lost: keep what @fl.scenario returns in a variable" in done.stderr


def test_scenarios_of_a_module_that_is_imported_as_a_whole_are_told_by_their_names(cli: Cli, tmp_path: Path) -> None:
    """They are kept, at the top of that module."""
    (tmp_path / "flows.py").write_text(
        "import fastload as fl\n"
        + "".join(f"@fl.scenario(vus=1)\nasync def {name}(vu): ...\n" for name in ("one", "two"))
    )
    (tmp_path / "script.py").write_text("import flows\n")
    done = cli("plan", "script.py", "--base-url", "http://127.0.0.1:9")
    assert done.returncode == 104
    assert "import what is to run by its name: from flows import one, two" in done.stderr
    assert "lost" not in done.stderr


LOST = {
    "a loop": "def make(path):\n    @fl.scenario(name=path, vus=1)\n    async def go(vu): ...\n"
    "for path in ('/a', '/b'):\n    make(path)\n",
    "a call": "async def go(vu): ...\nfl.scenario(name='/a', vus=1)(go)\n",
    "a class": "class Shop:\n    @fl.scenario(name='/a', vus=1)\n    async def go(vu): ...\n",
}


@pytest.mark.parametrize("script", LOST.values(), ids=LOST)
def test_scenarios_that_nothing_keeps_are_told_beside_others(cli: Cli, tmp_path: Path, script: str) -> None:
    """They were left out without a word: a part of the load was missing."""
    main = "@fl.scenario(vus=1)\nasync def main(vu): ...\n"
    (tmp_path / "script.py").write_text(f"import fastload as fl\n{script}{main}")
    done = cli("plan", "script.py", "--base-url", "http://127.0.0.1:9")
    assert done.returncode == 104
    line = next(n for n, text in enumerate(f"x\n{script}".splitlines(), 1) if "fl.scenario" in text)
    assert f"script.py declares scenario /a, in line {line} of script.py, and loses it" in done.stderr
    assert "keep what @fl.scenario returns in a variable at the top, or in a list" in done.stderr


MAKE = FACTORY[: FACTORY.index("first =")].format(name="name=path, ")
IN_A_LOOP = "for path in ('/stats', '/health', '/a'):\n    visit = make(path)\n"
OF_MAKE = {
    "a list": (MAKE + "visits = [make(path) for path in ('/c', '/a', '/b')]\n", "", ["/c", "/a", "/b"]),
    "a tuple": (MAKE + "visits = make('/a'), make('/b')\n", "", ["/a", "/b"]),
    "a dict": (MAKE + "visits = {path: make(path) for path in ('/b', '/a')}\n", "", ["/b", "/a"]),
    "a loop": (MAKE + IN_A_LOOP, "", ["/stats", "/health", "/a"]),
    "a part of a list": (MAKE + "visits = [make(path) for path in ('/a', '/b', '/c')][1:]\n", "", ["/b", "/c"]),
    "a list and a name": (MAKE + "last = make('/z')\nvisits = [make('/a'), last]\n", "", ["/z", "/a"]),
    "an imported factory": ("from flows import make\nmine = make('/mine')\n", MAKE + IN_A_LOOP, ["/mine"]),
    "a factory, the same name": ("from flows import make\nmine = make('/a')\n", MAKE + IN_A_LOOP, ["/a"]),
    "an imported loop": ("from flows import visit\n", MAKE + IN_A_LOOP, ["/a"]),
    "an imported list": (
        "from flows import visits, make\nmine = make('/mine')\n",
        MAKE + "visits = [make(path) for path in ('/b', '/a')]\nlast = make('/last')\n",
        ["/b", "/a", "/mine"],
    ),
}


@pytest.mark.parametrize(("script", "module", "names"), OF_MAKE.values(), ids=OF_MAKE)
def test_scenarios_run_that_the_script_keeps_in_the_order_of_their_definition(
    cli: Cli, tmp_path: Path, script: str, module: str, names: list[str]
) -> None:
    (tmp_path / "script.py").write_text(script)
    (tmp_path / "flows.py").write_text(module)
    done = cli("plan", "script.py", "--base-url", "http://127.0.0.1:9", "--json")
    assert done.returncode == 0, done.stderr
    assert [one["name"] for one in json.loads(done.stdout)["scenarios"]] == names
