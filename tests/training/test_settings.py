"""Settings: every file that ships can be read, and what is wrong in one is told with file and key."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from ptx_node.errors import ConfigurationError
from training.command_line import command_of
from training.networks.build import build
from training.settings import CONFIGS, Section, Settings, load_settings

SHIPPED = sorted(path.stem for path in CONFIGS.glob("*.toml"))


@pytest.mark.parametrize("name", SHIPPED)
def test_every_file_that_ships_is_read_and_written_back_to_the_same(name: str, tmp_path: Path) -> None:
    settings = load_settings(Path(name))
    assert name == settings.name
    (tmp_path / "again.toml").write_text(settings.to_toml())
    assert settings == load_settings(tmp_path / "again.toml")
    assert sum(weight.numel() for weight in build(settings.network).parameters()) > 1e6


def test_a_founding_document_has_its_file() -> None:
    assert {"thesis", "ablation", "ct_study", "clasegnet", "joint", "ct", "one_site"} == set(SHIPPED)


def test_the_thesiss_settings_are_those_that_it_states() -> None:
    one = load_settings(Path("thesis"))
    assert (224, "classifier", "resnet34", "adam", "early", 1e-3) == (
        *(one.data.size, one.network.kind, one.network.backbone, one.optimiser.name, one.stages[0].frozen, one.stages[0].rate_from),
    )
    augment = one.augment
    assert (0.5, 10.0, (1.0, 1.1), 0.2) == (augment.flip, augment.rotation_deg, augment.zoom, augment.warp)
    assert {"cross_entropy": 1.0} == one.loss.model_dump(exclude_defaults=True)


def test_the_ct_studys_settings_are_those_that_it_states() -> None:
    one = load_settings(Path("ct_study"))
    assert (512, "resnet50", "adam", 64, 8, 1e-4) == (
        *(one.data.size, one.network.backbone, one.optimiser.name, one.optimiser.batch, one.keep.patience, one.stages[0].rate_from),
    )
    assert {"bce": 1.0, "jaccard": 1.0} == one.loss.model_dump(exclude_defaults=True)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("network.backbon=resnet18", r"joint\.toml: network\.backbon is not a setting; did you mean backbone"),
        ("learning_rate=1", r"joint\.toml: learning_rate is not a setting"),
        ("stages.0.rate=1", r"joint\.toml: stages\.0\.rate is not a setting"),
        ("data.size=100", r"data\.size.*multiple of 32"),
        ("network.centre=round", r"network\.centre.*none"),
        ("stages.7.epochs=1", r"--set stages\.7\.epochs=1: there is no"),
        ("network.scse", "write key=value"),
        ("loss={}", "every weight is 0"),
        ("network.kind=classifier", "a classifier has no mask"),
        ("network.kind=clasegnet", r"loss\.mil"),
        ("data.stored=256", "smaller than"),
        ("data.answer=1024", "smaller than"),
    ],
)
def test_what_is_wrong_is_told_with_file_and_key(change: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        load_settings(Path("joint"), [change])


def test_overrides_reach_any_depth_and_keep_their_type() -> None:
    changes = [
        "stages.0.epochs=3",
        "network.backbone=resnet18",
        "network.scse=true",
        "augment.zoom=[1, 1.5]",
        "data.handling.lung_crop=true",
    ]
    one = load_settings(Path("joint"), changes)
    assert (3.0, "resnet18", True, (1.0, 1.5), {"lung_crop": True}) == (
        *(one.stages[0].epochs, one.network.backbone, one.network.scse, one.augment.zoom, one.data.handling),
    )


def test_a_file_that_is_not_there_or_not_toml_is_told_with_those_that_are(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("name = ")
    for path in (tmp_path / "a.toml", tmp_path / "none.toml", Path("nothing")):
        with pytest.raises(ConfigurationError, match=rf"{path.name}.*ablation, clasegnet, ct"):
            load_settings(path)


def tables(section: type[Section]) -> list[type[Section]]:
    inner = [field.annotation for field in section.model_fields.values()]
    return [section, *(found for one in inner if isinstance(one, type) and issubclass(one, Section) for found in tables(one))]


def test_every_setting_has_its_help() -> None:
    missing = [
        f"{section.__name__}.{name}"
        for section in tables(Settings)
        for name, field in section.model_fields.items()
        if not field.description
    ]
    assert [
        "Settings.data",
        "Settings.network",
        "Settings.loss",
        "Settings.stages",
        "Settings.optimiser",
        "Settings.augment",
        "Settings.keep",
    ] == missing


def test_the_files_state_nothing_that_is_the_default_by_mistake() -> None:
    """Each file says what it repeats, so that a reader can compare it with the document."""
    for name in SHIPPED:
        assert tomllib.loads((CONFIGS / f"{name}.toml").read_text())["document"]


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("runs/joint", "joint"),
        ("siim:data/siim", "siim:siim"),
        ("siim:/data/siim:patients/map.csv", "siim:siim:map.csv"),
        ("network.start=runs/small/model.safetensors", "network.start=model.safetensors"),
        ("network.backbone=resnet18", "network.backbone=resnet18"),
        ("--minutes", "--minutes"),
    ],
)
def test_a_command_is_told_without_folders_of_a_machine(typed: str, told: str) -> None:
    assert f"python -m training train {told}" == command_of(["train", typed])
