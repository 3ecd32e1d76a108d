"""Every module imports; every public name has its docstring with a doctest; public functions survive being used."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import subprocess
import sys

import pytest

import openclef

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(openclef.__path__, "openclef.")
    if not module.name.endswith("__main__")
)


def _public(module):
    for name, value in vars(module).items():
        own = not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
        if own and (inspect.isfunction(value) or inspect.isclass(value)):
            yield name, value


@pytest.mark.parametrize("name", MODULES)
def test_every_public_name_is_documented_with_a_doctest(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__, f"{name} has no docstring"
    for public, value in _public(module):
        text = inspect.getdoc(value) or ""
        assert text, f"{name}.{public} has no docstring"
        if not name.startswith("openclef.commands."):  # the command line's functions are shown by `--help`
            assert ">>>" in text, f"{name}.{public} has no doctest"
        if inspect.isclass(value):
            for method, function in vars(value).items():
                if inspect.isfunction(function) and not method.startswith("_"):
                    assert inspect.getdoc(getattr(value, method)), (
                        f"{name}.{public}.{method} has no docstring"
                    )


def test_no_module_hides_a_public_function() -> None:
    """Import everything, then look the public names up twice: each is still what it says."""
    for name in MODULES:
        importlib.import_module(name)
    for _ in range(2):
        for name in openclef._PUBLIC:
            value = getattr(openclef, name)
            assert callable(value), f"openclef.{name} is {value!r}"
            assert not inspect.ismodule(value), f"openclef.{name} is a module"


def test_public_functions_work_twice_after_every_import(tmp_path, small_store) -> None:
    for name in MODULES:
        importlib.import_module(name)
    for number in range(2):
        store = openclef.open_store(small_store.path)
        assert openclef.check(store).ok
        patient = openclef.risk.score2(age_years=50 + number, sex="male")
        assert 0 < float(patient.value) < 1
        net = openclef.backbone.BACKBONES["resnext1d_small"](leads=1)
        frame = openclef.embed(net, [store.read([0])[0]], fs=100, leads=store.leads, lead="I")
        assert len(frame) == 1
        simulated = openclef.simulate(tmp_path / f"sim{number}", patients=8, seed=number, workers=1)
        assert len(simulated) >= 8


def test_import_is_light() -> None:
    code = "import sys, openclef; print(sorted({'torch', 'pandas', 'scipy', 'numpy'} & set(sys.modules)))"
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert outcome.stdout.strip() == "[]"


def test_unknown_name_says_what_there_is() -> None:
    with pytest.raises(AttributeError, match="it has"):
        openclef.pretain  # noqa: B018
