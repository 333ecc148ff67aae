"""The notebook for Colab, at the smallest sizes; files replace its windows."""

import os
import pathlib
import re
import shutil

import miniature
import nbclient
import nbformat
import pytest
import shared_fake_data
from PIL import Image

from cmm_jax import examples
from colab import install, live_plot

ROOT = pathlib.Path(__file__).parents[1]
NOTEBOOK = ROOT / "colab" / "cmm_jax.ipynb"

# What makes the notebook small: sketched faces instead of rendered people, and
# a few steps of the smallest networks.
SMALLER = {
  r'virtual_smiles_dataset_builder\.Builder\(\s*config="\w+", ': (
    "miniature.Miniature("
  ),
  r"from configs import (\w+)": r"import miniature as \1",
  r"(\w+)\.get_config\(\)": r'\1.config("", "")',
  r'jax\.default_backend\(\) != "cpu"': "True",
  r"import base64": "import base64, miniature",
}


@pytest.fixture(scope="module")
def content(tmp_path_factory):
  """Takes the place of /content."""
  return tmp_path_factory.mktemp("content")


@pytest.fixture(scope="module")
def executed(content, finished, shared):
  """The cells by id, with their outputs.

  Drive has one run that stopped before its last phase and a finished one.
  """
  uploads = content / "uploads"
  uploads.mkdir()
  pack(uploads / "1_cmm_jax")
  with Image.open(examples.MONA_LISA) as photo:
    photo.reduce(2).save(uploads / "2_photo.png")
  drive = content / "drive" / "MyDrive"
  copy_fake_nemo(drive / "UvA-NEMO")
  for name in ("quick", "virtual_smiles"):
    shutil.copytree(finished.workdir, drive / "cmm_jax" / "runs" / name)
  shutil.rmtree(drive / "cmm_jax/runs/quick/checkpoints/regressors")
  notebook = nbformat.read(NOTEBOOK, as_version=4)
  shrink(notebook, {**SMALLER, '(f?)"/content': rf'\1"{content}'})
  nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3").execute(
    cwd=content, env=environment(uploads, shared / "xla")
  )
  return {cell.id: cell for cell in notebook.cells}


def pack(archive):
  """Archives the code as a download of a repository has it."""
  tree = archive.parent / "tree" / "cmm_jax-main"
  skipped = shutil.ignore_patterns("__pycache__", "*.egg-info")
  for name in ("cmm_jax", "colab", "configs", "tfds_builders"):
    shutil.copytree(ROOT / name, tree / name, ignore=skipped)
  for pattern in ("*.toml", "*.txt", "README.md", "LICENSE"):
    for file in ROOT.glob(pattern):
      shutil.copy(file, tree)
  shutil.make_archive(str(archive), "tar", tree.parent)
  shutil.rmtree(tree.parent)


def copy_fake_nemo(folder):
  """Copies the two videos with OpenFace's tables, one of each split."""
  fake, _ = shared_fake_data.write_once("uva_nemo")
  for name in ("017_spontaneous_smile_3", "071_spontaneous_smile_1"):
    for file in (*fake.rglob(f"{name}.mp4"), *fake.rglob(f"{name}.csv")):
      (folder / file.relative_to(fake)).parent.mkdir(
        parents=True, exist_ok=True
      )
      shutil.copy(file, folder / file.relative_to(fake))


def shrink(notebook, replacements):
  """Replaces patterns in the code, each of which must be found."""
  code = [cell for cell in notebook.cells if cell.cell_type == "code"]
  for pattern, replacement in replacements.items():
    counts = []
    for cell in code:
      cell.source, count = re.subn(pattern, replacement, cell.source)
      counts.append(count)
    assert any(counts), f"the notebook has no {pattern}"


def environment(uploads, cache):
  """That of the tests; pip only says what it would install of the project."""
  return os.environ | {
    "FAKE_COLAB_UPLOADS": str(uploads),
    "JAX_COMPILATION_CACHE_DIR": str(cache),
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    "JAX_PLATFORMS": "cpu",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_DRY_RUN": "1",
    "PIP_NO_BUILD_ISOLATION": "0",  # which means: no isolation
    "PIP_NO_DEPS": "1",
    "PIP_NO_INDEX": "1",
    "PYTHONPATH": f"{ROOT / 'tests' / 'fake_colab'}:{ROOT / 'tests'}",
  }


def text_of(cell):
  return "".join(
    output.get("text", "") + output.get("data", {}).get("text/plain", "")
    for output in cell.outputs
  )


def kinds_of(cell):
  return {kind for out in cell.outputs for kind in out.get("data", ())}


def test_the_uploaded_archive_is_what_is_installed(executed, content):
  assert (content / "cmm_jax" / "cmm_jax" / "main.py").is_file()
  assert "Installing cmm_jax[metrics]" in text_of(executed["install"])
  assert "no restart is needed" in text_of(executed["install"])


def test_the_devices_are_shown(executed):
  assert "CpuDevice" in text_of(executed["devices"])


def test_the_photo_smiles_with_the_shipped_and_with_trained_weights(
  executed, content
):
  for cell, folder in (
    ("photo", "smiles"),
    ("quick", "smiles_quick"),
    ("paper-photo", "smiles_paper"),
  ):
    (html,) = (
      out.data["text/html"]
      for out in executed[cell].outputs
      if "text/html" in out.get("data", ())
    )
    assert "data:image/webp;base64," in html
    assert (content / folder / "mode_1.mp4").stat().st_size > 1000


def test_a_clip_of_the_dataset_is_shown(executed):
  assert "image/png" in kinds_of(executed["render"])


def test_the_run_on_drive_is_resumed_and_plotted(executed, content):
  text = text_of(executed["quick"])
  assert "Phase translator is trained" in text
  assert "Phase regressors is trained" not in text
  run = content / "drive/MyDrive/cmm_jax/runs/quick"
  assert (run / "checkpoints" / "regressors" / str(miniature.STEPS)).is_dir()
  assert "image/png" in kinds_of(executed["quick"])


def test_the_papers_sizes_are_trained_on_drive_too(executed):
  assert "Phase regressors is trained" in text_of(executed["paper"])


def test_uva_nemo_is_prepared_on_drive(executed, content):
  drive = content / "drive" / "MyDrive" / "cmm_jax"
  (dataset,) = (drive / "data" / "uva_nemo" / "64x64").glob("[0-9]*")
  assert len(list(dataset.glob("*.array_record*"))) == 2


def test_the_notebook_is_stored_without_outputs():
  cells = nbformat.read(NOTEBOOK, as_version=4).cells
  code = [cell for cell in cells if cell.cell_type == "code"]
  assert not any(cell.outputs or cell.execution_count for cell in code)


@pytest.mark.parametrize(
  ("installed", "tpu", "driver", "extra"),
  [
    ({"libtpu": "0.0.21", "jax": "0.7.2"}, True, None, "tpu"),
    ({"jax": "0.7.2"}, False, None, ""),
    ({"jax-cuda12-plugin": "0.7.2"}, False, 580, "cuda12"),
    ({"jax-cuda13-plugin": "0.9.0"}, False, 580, "cuda13"),
    ({}, False, 580, "cuda13"),
    ({}, False, 550, "cuda12"),
  ],
)
def test_jax_is_installed_for_the_devices(installed, tpu, driver, extra):
  assert install.jax_extra(installed, tpu=tpu, driver=driver) == extra


def test_only_jax_and_what_is_built_on_it_is_pinned():
  requirements = (
    "absl-py==2.5.1 \\\n    --hash=sha256:00\n"
    "jax==0.10.2 ; python_full_version < '3.12' \\\n    --hash=sha256:01\n"
    "jaxtyping==0.3.11 \\\n    --hash=sha256:02\n"
    "optax==0.2.8 \\\n    --hash=sha256:03\n"
  )

  constraints = install.tested_versions(requirements)

  assert constraints == (
    "jax==0.10.2 ; python_full_version < '3.12'\noptax==0.2.8\n"
  )


def test_a_restart_is_asked_for_where_an_imported_module_has_changed():
  before = {"numpy": "2.0.2", "pillow": "12.0", "scikit-image": "0.25"}
  after = {"numpy": "2.4.6", "pillow": "12.0", "scikit-image": "0.26"}
  installed = install.installed_versions()
  everything = {name: "1" for name in installed}

  outdated = install.outdated_modules(
    everything | before, everything | after, {"numpy", "PIL", "jax"}
  )

  assert outdated == ["numpy"]


def test_losses_are_read_by_phase(tmp_path):
  (tmp_path / "metrics").mkdir()
  file = tmp_path / "metrics" / "vae.jsonl"
  file.write_text('{"step": 50, "loss": 3.0}\n{"step": 100, "loss": 2.0}\n')

  losses = live_plot.read_losses(tmp_path)

  assert losses == {"vae": ([50, 100], [3.0, 2.0])}
  (axes,) = live_plot.draw(losses).axes
  assert axes.get_title() == "vae"
  assert axes.lines[0].get_ydata().tolist() == [3.0, 2.0]
