"""Where files lie in transit: many groups at once, and what is left by others."""

from __future__ import annotations

import os
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from covalent_braket_plugin import staging


def test_groups_of_a_dispatch_come_and_go_without_disturbing_each_other(tmp_path: Path) -> None:
    dispatch_id = str(uuid.uuid4())

    def come_and_go(group: int) -> None:
        place = staging.place(str(tmp_path), "", dispatch_id, group)
        for _ in range(200):
            place.mkdir(parents=True, exist_ok=True)
            (place / "file").write_text("x")
            staging.remove(place)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(come_and_go, range(8)))  # raises what was raised


def test_only_what_is_old_is_swept(tmp_path: Path) -> None:
    old, young = (staging.place(str(tmp_path), "", "d", group) for group in (1, 2))
    for place in (old, young):
        place.mkdir(parents=True)
    os.utime(old, (0, time.time() - 25 * 3600))
    staging.sweep(young)
    assert (old.exists(), young.exists()) == (False, True)
