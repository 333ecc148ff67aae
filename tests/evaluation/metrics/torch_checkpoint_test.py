"""Checkpoints of others are read exactly and never executed."""

import collections
import io
import pickle
import resource
import sys
import types
import zipfile

import numpy as np
import pytest

from cmm_jax.evaluation.metrics import torch_checkpoint


@pytest.fixture(scope="module")
def torch():
  return pytest.importorskip("torch")


@pytest.fixture(params=["zip", "before torch 1.6"])
def save(request, torch, tmp_path):
  """Writes with PyTorch in one of its formats; returns the file."""

  def save(saved):
    file = tmp_path / "saved.pth"
    new = request.param == "zip"
    torch.save(saved, file, _use_new_zipfile_serialization=new)
    return file

  return save


def test_tensors_are_read_as_pytorch_wrote_them(torch, save):
  numbers = torch.arange(24.0).reshape(4, 6)
  saved = collections.OrderedDict(
    {
      "whole": numbers,
      "turned": numbers.T,  # other strides, the same storage
      "part": numbers[1:3, 2:],  # an offset
      "repeated": torch.ones(1).expand(3),  # a stride of zero
      "parameter": torch.nn.Parameter(torch.tensor([1.5, -2.0])),
      "count": torch.tensor(7),
      "none": torch.zeros(0, 3),
      "half": torch.tensor([0.5, 3.0]).to(torch.bfloat16),
      "flags": torch.tensor([True, False]),
    }
  )

  found = torch_checkpoint.read_torch(save(saved))

  assert list(found) == list(saved)
  for name, tensor in saved.items():
    wanted = tensor.detach().to(torch.float64).numpy()
    assert found[name].shape == wanted.shape
    np.testing.assert_array_equal(found[name].astype(np.float64), wanted)
  assert found["count"].dtype == np.int64
  assert found["whole"].dtype == np.float32


def test_the_state_dict_of_a_network_is_read_completely(torch, save):
  net = torch.nn.Sequential(torch.nn.Conv2d(3, 5, 3), torch.nn.BatchNorm2d(5))

  found = torch_checkpoint.read_torch(save(net.state_dict()))

  for name, tensor in net.state_dict().items():
    np.testing.assert_array_equal(found[name], tensor.numpy())


def test_an_entry_that_is_not_a_tensor_is_refused_by_name(save):
  with pytest.raises(ValueError, match=r"'epoch' is not a tensor.*state_dict"):
    torch_checkpoint.read_torch(save({"epoch": 3}))


def test_a_pickled_module_is_refused(torch, save):
  with pytest.raises(ValueError, match=r"torch\.nn\.modules.*state_dict"):
    torch_checkpoint.read_torch(save(torch.nn.Linear(2, 2)))


class Intruder:
  """Creates a folder when it is unpickled."""

  def __init__(self, folder):
    self.folder = str(folder)

  def __reduce__(self):
    import os

    return os.mkdir, (self.folder,)


def test_code_in_a_file_is_not_executed(tmp_path):
  folder = tmp_path / "made"
  attack = pickle.dumps({"weight": Intruder(folder)})
  with zipfile.ZipFile(tmp_path / "new.pth", "w") as archive:
    archive.writestr("archive/data.pkl", attack)
  (tmp_path / "old.pth").write_bytes(attack)

  for read, name in (
    (torch_checkpoint.read_torch, "new.pth"),
    (torch_checkpoint.read_torch, "old.pth"),
    (torch_checkpoint.read_arrays, "old.pth"),
  ):
    with pytest.raises(ValueError, match=r"it contains \w+\.mkdir"):
      read(tmp_path / name)

  assert not folder.exists()
  pickle.loads(attack)  # the attack itself works
  assert folder.exists()


@pytest.fixture
def write(monkeypatch, tmp_path):
  """Writes one tensor as PyTorch does, without PyTorch."""

  def _rebuild_tensor_v2(*_):
    raise AssertionError("only the name is written")

  storage_type = type("FloatStorage", (), {"__module__": "torch"})
  _rebuild_tensor_v2.__module__ = "torch._utils"
  _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
  torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
  torch.FloatStorage, torch._utils = storage_type, utils
  utils._rebuild_tensor_v2 = _rebuild_tensor_v2
  monkeypatch.setitem(sys.modules, "torch", torch)
  monkeypatch.setitem(sys.modules, "torch._utils", utils)
  storage = object()

  class Tensor:
    def __init__(self, offset, size, stride):
      self.args = (storage, offset, size, stride, False, {})

    def __reduce__(self):
      return _rebuild_tensor_v2, self.args

  class Pickler(pickle.Pickler):
    def persistent_id(self, obj):
      if obj is storage:
        return ("storage", storage_type, "0", "cpu", 6)
      return None

  def write(offset, size, stride):
    file, saved = tmp_path / "written.pth", io.BytesIO()
    Pickler(saved, 2).dump({"weight": Tensor(offset, size, stride)})
    with zipfile.ZipFile(file, "w") as archive:
      archive.writestr("written/data.pkl", saved.getvalue())
      archive.writestr("written/byteorder", "little")
      archive.writestr("written/data/0", np.arange(6, dtype="<f4").tobytes())
    return file

  return write


def test_a_zip_is_read_without_pytorch(write):
  found = torch_checkpoint.read_torch(write(1, (2, 2), (3, 1)))

  np.testing.assert_array_equal(found["weight"], [[1, 2], [4, 5]])
  assert found["weight"].dtype == np.float32


@pytest.mark.parametrize(
  ("offset", "size", "stride"),
  [(0, (7,), (1,)), (2, (2, 3), (3, 1)), (-1, (2,), (1,)), (0, (3,), (-1,))],
)
def test_a_tensor_that_exceeds_its_storage_is_refused(
  write, offset, size, stride
):
  with pytest.raises(ValueError, match="'weight' exceeds its storage"):
    torch_checkpoint.read_torch(write(offset, size, stride))


def test_the_error_for_a_damaged_file_names_the_file(torch, save, tmp_path):
  file = save({"weight": torch.ones(1000)})
  cut = tmp_path / "cut.pth"
  cut.write_bytes(file.read_bytes()[:-500])
  text = tmp_path / "text.pth"
  text.write_text("no weights")

  for broken in (cut, text):
    with pytest.raises(
      ValueError, match=f"{broken.name} is not a readable state"
    ):
      torch_checkpoint.read_torch(broken)
  with pytest.raises(FileNotFoundError):
    torch_checkpoint.read_torch(tmp_path / "none.pth")


def test_arrays_are_read_from_a_pickle_of_arrays(tmp_path):
  saved = {"layer": [np.arange(6.0).reshape(2, 3).T, np.float32([1, 2])]}
  file = tmp_path / "arrays.pkl"
  file.write_bytes(pickle.dumps(saved, protocol=3))

  found = torch_checkpoint.read_arrays(file)

  for one, other in zip(found["layer"], saved["layer"], strict=True):
    np.testing.assert_array_equal(one, other)


def test_a_few_bytes_do_not_take_all_memory(tmp_path):
  file = tmp_path / "weights.pth"
  # An object, and where to remember it: at place 2^31 - 1.
  file.write_bytes(b"\x80\x02Nr\xff\xff\xff\x7f.")
  before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

  with pytest.raises(ValueError, match=r"weights.pth is not a readable"):
    torch_checkpoint.read_torch(file)

  after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  assert after - before < 100_000  # kB


def test_a_compressed_archive_is_refused(tmp_path):
  file = tmp_path / "weights.pth"
  with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
    archive.writestr("weights/data.pkl", b"\x80\x02}.")

  with pytest.raises(ValueError, match="it is compressed"):
    torch_checkpoint.read_torch(file)
