"""A process that writes a journal until it is killed; prints what it was told is stored.

python -m tests.journal_child PATH SEED
"""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path

from pxresearch.journal.records import Kind
from pxresearch.journal.writer import Journal


def value_of(seq: int) -> tuple[int, ...]:
    """The input that has a sequence number."""
    return (0, 0, seq * 1_000, seq, -seq, seq % 7, seq % 11, seq * 1_000 + seq % 997)


async def main(path: Path, seed: int) -> None:
    """Write inputs by their numbers, and now and then a row that is waited for."""
    journal, chance = Journal(path, fsync_s=0.02), random.Random(seed)
    while True:
        for _ in range(chance.randrange(1, 400)):
            journal.input(*value_of(journal.last_seq + 1))
        await asyncio.sleep(chance.random() * 0.004)
        seq = journal.write(Kind.NOTE, journal.last_seq, {"n": journal.last_seq + 1})
        if chance.random() < 0.7:
            await journal.stored(seq)
            sys.stdout.write(f"{seq}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
