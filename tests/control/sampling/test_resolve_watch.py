"""Which processes a port, a pid or a name means."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fastload.control.sampling.listeners import find_listener
from fastload.control.sampling.processes import resolve_watch
from fastload.model.errors import PlanError
from tests.conftest import REPO
from tests.control.sampling.puppet import DEADLINE_S, PUPPET, Puppet


class TestFindListener:
    @pytest.fixture(params=["127.0.0.1", "::1"])
    def server(self, request: pytest.FixtureRequest) -> Iterator[socket.socket]:
        family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
        with socket.create_server((request.param, 0), family=family) as server:
            yield server

    def test_the_process_that_listens(self, server: socket.socket) -> None:
        host, port = server.getsockname()[:2]
        assert find_listener(port) == (os.getpid(),)
        assert find_listener(port, host) == (os.getpid(),)

    def test_all_who_hold_the_socket(self, puppet: Puppet) -> None:
        puppet.do("server = socket.create_server(('127.0.0.1', 0))")
        port = int(puppet.do("result = server.getsockname()[1]"))
        child = int(puppet.do("result = fork_ready(0)"))
        assert find_listener(port) == tuple(sorted((puppet.pid, child)))

    def test_a_connection_to_the_port_is_no_listener(self, puppet: Puppet) -> None:
        puppet.do("server = socket.create_server(('127.0.0.1', 0))")
        port = int(puppet.do("result = server.getsockname()[1]"))
        with socket.create_connection(("127.0.0.1", port)):
            assert find_listener(port) == (puppet.pid,)

    def test_nobody_listens(self) -> None:
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            assert find_listener(bound.getsockname()[1]) == ()

    def test_another_address_is_another_server(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            assert find_listener(port, "localhost") == (os.getpid(),)
            assert find_listener(port, "127.0.0.2") == ()
            assert find_listener(port, "::1") == ()
            assert find_listener(port, "0.0.0.0") == (os.getpid(),)

    def test_a_wildcard_socket_serves_local_addresses_only(self) -> None:
        with socket.create_server(("", 0)) as server:
            port = server.getsockname()[1]
            assert find_listener(port, "127.0.0.2") == (os.getpid(),)
            assert find_listener(port, "192.0.2.1") == ()
            assert find_listener(port, "[::1]") == ()

    def test_the_ipv6_wildcard_serves_both_families(self) -> None:
        with socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True) as server:
            port = server.getsockname()[1]
            assert find_listener(port, "127.0.0.1") == (os.getpid(),)
            assert find_listener(port, "[::1]") == (os.getpid(),)

    def test_holders_that_may_not_be_inspected_are_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def deny(path: str) -> str:
            raise PermissionError(path)

        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            monkeypatch.setattr(os, "readlink", deny)
            assert find_listener(port) == ()
            with pytest.raises(PlanError, match="may not inspect") as caught:
                resolve_watch(f":{port}")
            assert "root" in caught.value.hint


RESOLVE = """
import sys
from fastload.control.sampling.processes import resolve_watch
from fastload.model.errors import PlanError
try:
    print(*resolve_watch(sys.argv[1]))
except PlanError as error:
    print("PlanError", error.message, error.hint)
"""


def resolve_elsewhere(text: str) -> str:
    """What a sibling of the test's other processes finds, for whom they are not family."""
    done = subprocess.run(
        [sys.executable, "-c", RESOLVE, text],
        cwd=REPO,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class TestResolveWatch:
    def test_a_number_is_a_pid_if_a_process_has_it(self, puppet: Puppet) -> None:
        assert resolve_watch(str(puppet.pid)) == (puppet.pid,)

    def test_a_number_without_a_process_is_a_port(self, puppet: Puppet) -> None:
        puppet.do("server = socket.create_server(('127.0.0.1', 0))")
        port = int(puppet.do("result = server.getsockname()[1]"))
        assert resolve_watch(f":{port}") == (puppet.pid,)
        if not Path(f"/proc/{port}").exists():
            assert resolve_watch(str(port)) == (puppet.pid,)

    def test_the_number_of_a_thread_is_no_pid(self) -> None:
        release = threading.Event()
        thread = threading.Thread(target=release.wait)
        thread.start()
        try:
            with pytest.raises(PlanError):
                resolve_watch(str(thread.native_id))
        finally:
            release.set()
            thread.join(DEADLINE_S)

    @pytest.mark.parametrize("text", [":0", ":70000", ":http", ":", "99999999999"])
    def test_numbers_that_are_neither(self, text: str) -> None:
        with pytest.raises(PlanError) as caught:
            resolve_watch(text)
        assert text in caught.value.message
        assert ":8080" in caught.value.hint

    def test_a_port_where_nobody_listens(self) -> None:
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            port = bound.getsockname()[1]
            with pytest.raises(PlanError, match=f"listens on port {port}") as caught:
                resolve_watch(f":{port}")
        assert "start the target first" in caught.value.hint

    def test_the_script_of_an_interpreter(self, puppets: Callable[..., Puppet], tmp_path: Path) -> None:
        script = tmp_path / "server_under_test.py"
        script.write_text(PUPPET)
        puppet = puppets(sys.executable, "-u", "-W", "ignore", str(script), "--port", "1")
        assert resolve_elsewhere("server_under_test.py") == str(puppet.pid)
        assert resolve_elsewhere("--port").startswith("PlanError")

    def test_the_module_of_an_interpreter(
        self, puppets: Callable[..., Puppet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "module_under_test.py").write_text(PUPPET)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        puppet = puppets(sys.executable, "-m", "module_under_test")
        assert resolve_elsewhere("module_under_test") == str(puppet.pid)

    def test_a_title_that_a_server_gave_itself(self, puppets: Callable[..., Puppet]) -> None:
        title = "/usr/sbin/titled-server: master process /etc"
        puppet = puppets(title, "-c", "echo ready; read line; :", executable="/bin/sh")
        assert resolve_elsewhere("titled-server") == str(puppet.pid)

    def test_the_name_of_the_process_itself(self, puppet: Puppet) -> None:
        puppet.do("open('/proc/self/comm', 'w').write('named-server')")
        assert resolve_elsewhere("named-server") == str(puppet.pid)

    def test_a_shell_with_the_name_on_its_command_line_does_not_match(self, puppets: Callable[..., Puppet]) -> None:
        puppets("/bin/sh", "-c", "echo ready; read line; : server_under_test.py", "server_under_test.py")
        assert resolve_elsewhere("server_under_test.py").startswith("PlanError")

    def test_neither_children_nor_ancestors_match(self, puppet: Puppet) -> None:
        puppet.do("open('/proc/self/comm', 'w').write('my-own-child')")
        with pytest.raises(PlanError):
            resolve_watch("my-own-child")
        puppet.do("open('/proc/self/comm', 'w').write('my-ancestor')")
        puppet.do("import subprocess")
        puppet.do(f"found = subprocess.run([sys.executable, '-c', {RESOLVE!r}, 'my-ancestor'], capture_output=True)")
        assert puppet.do("result = found.stdout.split()[0]") == "b'PlanError'"

    def test_an_unknown_name_suggests_the_nearest(self, puppet: Puppet) -> None:
        puppet.do("open('/proc/self/comm', 'w').write('named-server')")
        answer = resolve_elsewhere("named-servre")
        assert "no process of that name" in answer
        assert "did you mean 'named-server'?" in answer

    def test_an_unknown_name_says_what_to_do(self) -> None:
        with pytest.raises(PlanError, match="no process of that name") as caught:
            resolve_watch("0xdeadbeef-nothing-like-it")
        assert "start it first" in caught.value.hint
