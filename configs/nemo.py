r"""CMM-Net on UvA-NEMO: the paper's settings where it gives them.

  tfds build tfds_builders/uva_nemo --config 64x64 --data_dir data
  python -m cmm_jax.main --config=configs/nemo.py

Numbers marked (ours) are not in the paper.
"""

import ml_collections


def phase(
  *,
  epochs: float,
  clips_per_batch: int,
  frames_per_clip: int,
  learning_rate: float,
  beta1: float = 0.9,
) -> ml_collections.ConfigDict:
  """Returns the settings of one phase.

  Args:
    epochs: how often the loss sees every frame of the training split; 0 keeps
      the networks of `init_from`, in later phases too.
    clips_per_batch: different clips in a batch.
    frames_per_clip: of each, sampled at random for the loss; the roll-out has
      all of them.
    learning_rate: Adam's, which falls to a tenth of it by a cosine (ours).
    beta1: decay rate of Adam's first moment.
  """
  return ml_collections.ConfigDict(
    dict(
      epochs=float(epochs),
      clips_per_batch=clips_per_batch,
      frames_per_clip=frames_per_clip,
      learning_rate=learning_rate,
      beta1=beta1,
    )
  )


def get_config() -> ml_collections.ConfigDict:
  """Returns the settings of the full run."""
  config = ml_collections.ConfigDict()
  config.workdir = "runs/nemo"
  config.seed = 0
  # To fine-tune: "weights", those that the package ships, or the path of a file
  # or of a run.
  config.init_from = ""

  config.data = ml_collections.ConfigDict()
  config.data.name = "uva_nemo/64x64"
  config.data.data_dir = "data"
  config.data.num_frames = 32  # T, section 4.1
  config.data.image_size = 64  # height and width in pixels, section 4.1
  config.data.mirror = True  # (ours), as all augmentation
  config.data.stretch = 0.04  # deviation, as a share of the face
  config.data.shift = 1.0  # deviation, in pixels of 64
  config.data.parts = 0.06  # deviation of the face's parts
  config.data.color = 0.15  # deviation of contrast and channel mixing
  # For photos as people take them: see `data.augment.Augmentation`.
  config.data.light = 0.0
  config.data.blur = 0.0
  config.data.compression = 0.0

  config.model = ml_collections.ConfigDict()
  config.model.embedding_dim = 100  # section 4.1
  # Height and width in pixels; 64 also where frames are larger (ours).
  config.model.landmark_image_size = 64
  config.model.vae_width = 64  # section 4.1
  config.model.lstm_dim = 512  # (ours)
  config.model.num_modes = 3  # K, section 4.2
  config.model.translator_width = 64  # section 4.1
  # "motion" and "residual" are ours, "image" is the paper's form.
  config.model.translator_output = "motion"
  # (ours), of the one-hot label beside the 100 entries of an embedding. With 1
  # a seed of quick gave all labels nearly the same dynamics: docs/ablations.md.
  config.model.label_scale = 10.0
  config.model.regressor_width = 32  # (ours), for measuring only
  config.model.video_gan_width = 128  # Vondrick et al. 2016
  # "auto": bfloat16 on TPUs and Ampere or newer GPUs, else float32 (ours).
  config.model.dtype = "auto"

  # Mode-bank settings (ablation), see `models.mode_bank.ModeSettings`;
  # config.train.model = "mode_loss_variants" trains all variants.
  config.modes = ml_collections.ConfigDict()
  config.modes.shared_start = True  # (ours); False: the paper's form
  # "displacement" is ours, "embeddings" is the paper's form.
  config.modes.push_input = "displacement"
  # "clusters" and "best_of_modes" are ours, "conditional" is the paper's form.
  config.modes.reconstruction = "clusters"

  config.loss = ml_collections.ConfigDict()
  # (ours). With 1, as in the plain VAE, quick's landmark images were less sharp
  # and its modes differed less in the eyes.
  config.loss.kl = 0.1
  config.loss.embeddings = 1.0  # (ours), weight of `posterior_nll`
  # Whether phases 2 and 3 train the decoder by the sequences' BCE too, or by
  # the VAE's own loss alone (ours).
  config.loss.sequences_train_decoder = False
  config.loss.pull = 1.0  # (ours)
  config.loss.push = 1.0  # (ours)
  # (ours), for "best_of_modes" only, in nats per landmark image.
  config.loss.assignment_temperature = 2.0
  config.loss.l1 = 100.0  # (ours), as in pix2pix
  config.loss.decoded_share = 0.5  # (ours), of phase 4's landmark images
  # (ours), standard deviation, of faces in [-1, 1]. Without it the
  # discriminator won within two epochs, and the L1 rose (docs/results.md).
  config.loss.instance_noise = 0.1
  # (ours), relative to a reconstruction loss that sums over pixels; 120 would
  # match the translator's balance, but the roll-out then leaves the faces.
  config.loss.cra_net_adversarial = 20.0
  # (ours), beside an L1 that sums over pixels; at quick's sizes phase 2
  # ends worse with 0.1.
  config.loss.cra_net_kl = 1.0
  config.loss.video_gan_l1 = 10.0  # on the first frame, Vondrick et al. 2016

  config.phases = ml_collections.ConfigDict()
  # Epochs: section 3.5. Batches and learning rates: (ours).
  config.phases.vae = phase(
    epochs=50, clips_per_batch=16, frames_per_clip=4, learning_rate=1e-3
  )
  config.phases.conditional = phase(
    epochs=20, clips_per_batch=8, frames_per_clip=32, learning_rate=1e-3
  )
  config.phases.modes = phase(
    epochs=10, clips_per_batch=8, frames_per_clip=32, learning_rate=1e-3
  )
  config.phases.translator = phase(
    epochs=20,
    clips_per_batch=16,
    frames_per_clip=1,
    learning_rate=2e-4,
    beta1=0.5,
  )
  config.phases.regressors = phase(  # not in the paper: they measure
    epochs=20, clips_per_batch=16, frames_per_clip=4, learning_rate=1e-3
  )

  # What the paper compares with. CRA-Net: as the phases above (ours).
  config.phases.cra_net_vae = phase(
    epochs=50, clips_per_batch=16, frames_per_clip=4, learning_rate=1e-3
  )
  config.phases.cra_net = phase(
    epochs=20,
    clips_per_batch=8,
    frames_per_clip=32,
    learning_rate=5e-4,
    beta1=0.5,
  )
  # Video-GAN: Vondrick et al. 2016 but for the epochs (ours), which are of each
  # label's clips.
  config.phases.video_gan = phase(
    epochs=200,
    clips_per_batch=32,
    frames_per_clip=32,  # all: D takes whole clips
    learning_rate=2e-4,
    beta1=0.5,
  )

  config.train = ml_collections.ConfigDict()
  config.train.model = "cmm_net"  # or others with commas: `models.registry`
  # The training split: "device", "stream" (from the host, through Grain), or
  # "auto": on the device if it takes at most a quarter of its memory.
  config.train.placement = "auto"
  config.train.profile = False  # trace some steps of each phase
  config.train.log_every_steps = 50
  config.train.picture_every_steps = 1000
  config.train.checkpoint_every_steps = 1000
  config.train.max_to_keep = 2
  return config
