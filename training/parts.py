"""From `--data KIND:FOLDER` and `--split FILE` to prepared arrays of one part, checked for leaks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ptx_node.errors import UsageError
from training.datasets import Handling, open_data_set
from training.prepared import Prepared, prepare
from training.splits import PARTS, check_leaks, load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from training.records import DataSet, Record
    from training.settings import Settings


def open_data(words: Sequence[str]) -> list[DataSet]:
    """Data sets from words such as `siim:FOLDER` or `siim:FOLDER:patients=FILE`.

    Raises:
        UsageError: not of this form, no such kind, or a set without a usable image.
    """
    found = []
    for one in words:
        kind, *rest = one.split(":")
        options = dict(pair.partition("=")[::2] for pair in rest[1:])
        if not rest or not kind or not all(options.values()):
            raise UsageError(f"--data {one}: write KIND:FOLDER, or KIND:FOLDER:option=value")
        data_set = open_data_set(kind, Path(rest[0]), **options)
        if not data_set.records:
            first = f"; the first problem: {data_set.problems[0]}" if data_set.problems else ""
            raise UsageError(f"--data {one}: no image found{first}")
        found.append(data_set)
    return found


def divide(data_sets: Sequence[DataSet], splits: Sequence[Path]) -> dict[str, list[list[Record]]]:
    """Records of each data set by part; one split for all of them, or one each.

    Raises:
        UsageError: an unknown patient, or a number of splits that fits neither.
        LeakError: one patient, image or file in two parts, within or across data sets.
    """
    if len(splits) not in {1, len(data_sets)}:
        raise UsageError(f"{len(splits)} splits for {len(data_sets)} data sets: give one for all of them, or one each in the same order")
    loaded = [load(path) for path in splits]
    each = [loaded[place % len(loaded)].divide(one.records) for place, one in enumerate(data_sets)]
    parts = {part: [divided[part] for divided in each] for part in PARTS}
    check_leaks({part: [record for records in several for record in records] for part, several in parts.items()})
    return parts


def prepare_part(records: Sequence[Sequence[Record]], folder: Path, settings: Settings) -> list[Prepared]:
    """Arrays of one part, as the settings want them; data sets without an image in it are left out."""
    handling = Handling.of(settings.data.handling)
    wanted = [one for one in records if one]
    return [prepare(one, folder, size=settings.data.kept, reads=settings.reads, handling=handling) for one in wanted]
