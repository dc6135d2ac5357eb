"""Maps the folders `frontends/` and `backends/` to the packages `nxconvert.frontends` and `nxconvert.backends`."""

from setuptools import find_packages, setup

MAPPED = ("frontends", "backends")

packages = find_packages(include=["nxconvert", "nxconvert.*"])
for folder in MAPPED:
    packages += [f"nxconvert.{package}" for package in find_packages(include=[folder, f"{folder}.*"])]

setup(
    packages=packages,
    package_dir={"nxconvert": "nxconvert", **{f"nxconvert.{folder}": folder for folder in MAPPED}},
)
