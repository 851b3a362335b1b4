#!/usr/bin/env python3
"""A line to a loopback port that delays what it carries, in a process of its own so that it has its time.

Run as a program it carries from one port to another; each line of its standard input is a new delay in
milliseconds, and the end of the input is its end. What is delayed is not slowed down: what follows closely
arrives closely.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path


class SlowLine:
    """The process, seen from the outside."""

    def __init__(self, port: int, to: int):
        self.port = port
        command = [sys.executable, str(Path(__file__)), str(port), str(to)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        assert self.process.stdout.readline() == "listens\n"

    def delay(self, milliseconds: int) -> None:
        self.process.stdin.write(f"{milliseconds}\n")
        assert self.process.stdout.readline() == f"{milliseconds}\n"

    def __enter__(self) -> SlowLine:
        return self

    def __exit__(self, *_exception) -> None:
        self.process.kill()
        self.process.wait()


class Line:
    def __init__(self, to: int):
        self.to, self.seconds = to, 0.0

    async def accept(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        try:
            far, forth = await asyncio.open_connection("127.0.0.1", self.to)
        except OSError:
            back.close()
            return
        await asyncio.gather(self.carry(near, forth), self.carry(far, back))

    async def carry(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        """Half of the delay on the way there, half on the way back."""
        pieces: asyncio.Queue = asyncio.Queue(1000)
        delivering = asyncio.create_task(deliver(pieces, target))
        try:
            while data := await source.read(65536):
                await pieces.put((time.monotonic() + self.seconds / 2, data))
        except OSError:
            pass
        await pieces.put((time.monotonic(), b""))
        await delivering

    async def obey(self) -> None:
        orders = asyncio.StreamReader()
        reads = asyncio.StreamReaderProtocol(orders)
        await asyncio.get_running_loop().connect_read_pipe(lambda: reads, sys.stdin)
        while order := await orders.readline():
            self.seconds = int(order) / 1000
            print(int(order), flush=True)


async def deliver(pieces: asyncio.Queue, target: asyncio.StreamWriter) -> None:
    try:
        while True:
            due, data = await pieces.get()
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if not data:
                break
            target.write(data)
    except OSError:
        pass
    target.close()


async def main(port: int, to: int) -> None:
    line = Line(to)
    async with await asyncio.start_server(line.accept, "127.0.0.1", port):
        print("listens", flush=True)
        await line.obey()


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:])))
