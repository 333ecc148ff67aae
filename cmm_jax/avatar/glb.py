"""The head with its blendshapes and the smiles as animations, as binary glTF.

It opens in Blender, three.js and game engines. Blendshapes are morph targets
with ARKit's names; each has offsets of positions and of normals.
"""

import numpy as np

from cmm_jax.avatar import arkit, gltf, parts, textures
from cmm_jax.avatar.curves import NOTICE, Curves
from cmm_jax.virtual_face import head

_COPYRIGHT = (
  "Head: MakeHuman community, blendshapes: Mika Suominen; CC0 1.0. " + NOTICE
)
_DISTANCE = 0.27  # between heads side by side, in meters
_LINEAR, _LINEAR_MIPMAP = 9729, 9987
_REPEAT, _CLAMP = 10497, 33071
_ROUGHNESS = {"skin": 0.55, "eyes": 0.15, "teeth": 0.22, "gums": 0.35,
              "tongue": 0.4, "hair": 0.75, "lashes": 0.9}  # fmt: skip


def animated_head(curves: Curves) -> bytes:
  """One head with an animation per sequence, by the sequence's name."""
  document, mesh = _document()
  node = document.add(
    "nodes", {"name": "head", "mesh": document.add("meshes", mesh)}
  )
  document.root["scenes"] = [{"name": "avatar", "nodes": [node]}]
  time = document.values(curves.times, bounds=True)
  for name in curves.sequence_names:
    animation = _animation(name, [(node, curves[name])], document, time)
    document.add("animations", animation)
  return document.to_bytes()


def heads_side_by_side(curves: Curves) -> bytes:
  """A head per sequence, from left to right, and one animation of them all."""
  document, mesh = _document()
  middle = (len(curves.sequence_names) - 1) / 2
  nodes = []
  for number, name in enumerate(curves.sequence_names):
    # A mesh each, of the same data: three.js finds what moves by its name.
    named = {"name": f"head_{name}"}
    index = document.add("meshes", mesh | named)
    place = [(number - middle) * _DISTANCE, 0.0, 0.0]
    node = named | {"mesh": index, "translation": place}
    nodes.append(document.add("nodes", node))
  document.root["scenes"] = [{"name": "avatars", "nodes": nodes}]
  time = document.values(curves.times, bounds=True)
  moving = list(zip(nodes, curves.weights, strict=True))
  document.add("animations", _animation("smiles", moving, document, time))
  return document.to_bytes()


def _animation(name, moving, document, time):
  """An animation of the weights [t 52] of nodes."""
  samplers, channels = [], []
  for number, (node, weights) in enumerate(moving):
    output = document.values(np.ascontiguousarray(weights).reshape(-1))
    samplers.append(
      {"input": time, "output": output, "interpolation": "LINEAR"}
    )
    target = {"node": node, "path": "weights"}
    channels.append({"sampler": number, "target": target})
  return {"name": name, "samplers": samplers, "channels": channels}


def _document():
  """A document with the head's data, and the entry of its mesh."""
  document = gltf.Document(_COPYRIGHT)
  document.root["scene"] = 0
  materials = _add_materials(document)
  primitives = [
    _primitive(document, part, materials[name])
    for name, part in parts.parts().items()
  ]
  mesh = {
    "name": "head",
    "primitives": primitives,
    "weights": [0.0] * len(arkit.NAMES),
    # The convention of Blender and three.js for the names of morph targets.
    "extras": {"targetNames": list(arkit.NAMES)},
  }
  return document, mesh


def _primitive(document, part, material):
  targets = [
    {
      "POSITION": document.sparse(offsets, bounds=True),
      "NORMAL": document.sparse(normals),
    }
    for offsets, normals in zip(part.offsets, part.normal_offsets, strict=True)
  ]
  return {
    "attributes": {
      "POSITION": document.vertices(part.positions, bounds=True),
      "NORMAL": document.vertices(part.normals),
      "TEXCOORD_0": document.vertices(part.uv),
      "COLOR_0": document.vertices(part.colors),
    },
    "indices": document.indices(part.triangles),
    "material": material,
    "targets": targets,
  }


def _add_materials(document):
  """The index of each part's material."""
  person = parts.person()
  clamp, repeat = (
    document.add(
      "samplers",
      {
        "magFilter": _LINEAR,
        "minFilter": _LINEAR_MIPMAP,
        "wrapS": wrap,
        "wrapT": wrap,
      },
    )
    for wrap in (_CLAMP, _REPEAT)
  )
  jpeg, png = "image/jpeg", "image/png"
  texture_of = {
    "skin": document.texture(textures.skin(person), jpeg, clamp),
    "eyes": document.texture(textures.eye(person), jpeg, clamp),
    "teeth": document.texture(textures.teeth(person), png, clamp),
    "hair": document.texture(textures.hair(person), jpeg, repeat),
  }
  color_of = {
    "gums": person.colors[head.GUMS],
    "tongue": person.colors[head.TONGUE],
    "lashes": person.colors[head.LASHES],
  }
  details = {
    "teeth": {"alphaMode": "MASK", "alphaCutoff": 0.5, "doubleSided": True},
    "gums": {"doubleSided": True},
    "hair": {"alphaMode": "BLEND"},
    "lashes": {"alphaMode": "BLEND", "doubleSided": True},
  }
  materials = {}
  for name in parts.parts():
    surface = {"metallicFactor": 0.0, "roughnessFactor": _ROUGHNESS[name]}
    if name in texture_of:
      surface["baseColorTexture"] = {"index": texture_of[name]}
    else:
      surface["baseColorFactor"] = [*map(float, color_of[name]), 1.0]
    material = {"name": name, "pbrMetallicRoughness": surface}
    materials[name] = document.add(
      "materials", material | details.get(name, {})
    )
  return materials
