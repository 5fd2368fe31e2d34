"""What tests of overload share: many clients that do not stop, and whether waiting requests ended at their time."""

import concurrent.futures
import contextlib
import re
import subprocess
import sys
import time

LATE_S = 0.05  # a queue timeout is told within this of its time
CLOCK = """
import sys, threading, time
worst, ends = 0, threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ends.set()), daemon=True).start()
while not ends.is_set():
    begin = time.monotonic()
    time.sleep(0.005)
    worst = max(worst, time.monotonic() - begin - 0.005)
print(worst)
"""


class Machine:
    worst_s = None


@contextlib.contextmanager
def watched_machine():
    """How late the machine woke a process that only sleeps: what no server on it can be better than."""
    machine = Machine()
    process = subprocess.Popen([sys.executable, "-c", CLOCK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield machine
        machine.worst_s = float(process.communicate("")[0])
    finally:
        process.kill()
        process.wait()


def lateness(server, model):
    """(queue timeouts, those within LATE_S of their time), by the server's own clock."""
    _, _, content = server.ask(server.metrics, "GET", "/metrics")
    name = "tenon_queue_timeout_lateness_seconds"

    def value(part, end=""):
        found = re.findall(rf'^{name}_{part}{{model="{model}",version="1"{end}}} (\d+)$', content.decode(), re.M)
        assert len(found) == 1, (part, content)
        return int(found[0])

    return value("count"), value("bucket", f',le="{LATE_S}"')


def check_on_time(server, model, timeouts, machine):
    """All of them, unless the machine itself stood still for about as long."""
    count, in_time = lateness(server, model)
    assert count == timeouts
    print(f"{model}: {count} queue timeouts, {in_time} within {LATE_S} s; the machine woke a sleeper "
          f"{machine.worst_s * 1e3:.1f} ms late at worst")
    if machine.worst_s < LATE_S / 2:
        assert in_time == count


def crowd(clients, seconds, ask):
    """Answers of `ask(client, turn)` for so many clients that ask without a pause for so long."""
    end = time.monotonic() + seconds

    def client(number):
        seen = []
        while time.monotonic() < end:
            seen.append(ask(number, len(seen)))
        return seen

    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        return [one for part in pool.map(client, range(clients)) for one in part]
