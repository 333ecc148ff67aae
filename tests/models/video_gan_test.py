"""Video-GAN's phases and inference."""

import jax
import jax.numpy as jnp
import miniature
import numpy as np
import pytest

from cmm_jax import programs
from cmm_jax.models import registry


def test_a_video_gan_is_trained_for_each_label_on_its_clips(clips):
  _, by_name = miniature.build_model("video_gan")

  assert [p.label for p in by_name.values()] == [0, 1]
  for number, gan in enumerate(by_name.values()):
    seen = programs.clips_of(gan, clips)
    assert len(seen) == len(clips) / 2
    assert {seen[i]["label"] for i in range(len(seen))} == {number}


def test_a_video_gan_that_would_not_see_whole_clips_is_refused():
  config = miniature.config("nowhere", "nowhere")
  config.phases.video_gan.frames_per_clip = 8

  with pytest.raises(
    ValueError, match=r"frames_per_clip is 8.* set it to .*32"
  ):
    registry.build(config, 2, "video_gan").phases(config)


def test_each_face_gets_the_clip_of_its_labels_own_generator():
  model, _ = miniature.build_model("video_gan")
  first = miniature.first_networks("video_gan", ("generator",))
  variables = first["generator"]
  turned = variables | {
    "params": jax.tree.map(np.negative, variables["params"])
  }
  trained = {"video_gan_0": first, "video_gan_1": {"generator": turned}}
  faces = np.stack([miniature.clip(s, 0, 0)["frames"][0] for s in (0, 1)])
  generate = jax.jit(model.generate)

  images, made = generate(
    trained, {"first_frame": faces, "label": np.array([0, 0])}
  )
  _, mixed = generate(
    trained, {"first_frame": faces, "label": np.array([0, 1])}
  )

  assert images is None and made.flow is None
  assert made.faces.shape == (2, 1, 32, 64, 64, 3)
  assert jnp.abs(made.faces).max() <= 1
  np.testing.assert_array_equal(mixed.faces[0], made.faces[0])
  assert jnp.abs(mixed.faces[1] - made.faces[1]).max() > 0.01
