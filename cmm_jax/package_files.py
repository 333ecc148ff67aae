"""Files that installed packages ship, located without importing the package."""

import importlib.util
import pathlib


def locate(package: str, file: str, requirement: str) -> pathlib.Path:
  """The path of a file of an installed package.

  The package is not imported: some import modules that are not installed.

  Args:
    package: the name used in `import`.
    file: the path inside the package.
    requirement: what to pass to `pip install`, for the error messages.

  Raises:
    ModuleNotFoundError: the package is not installed.
    FileNotFoundError: the package is installed but lacks the file.
  """
  spec = importlib.util.find_spec(package)
  if spec is None or spec.origin is None:
    raise ModuleNotFoundError(
      f"{file} is part of the package {package}, which is not installed: "
      f"pip install '{requirement}'."
    )
  path = pathlib.Path(spec.origin).parent / file
  if not path.is_file():
    raise FileNotFoundError(
      f"The package {package} has no file {path}: "
      f"pip install --force-reinstall '{requirement}'."
    )
  return path
