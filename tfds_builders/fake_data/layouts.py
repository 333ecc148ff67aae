"""The layouts that can be written, by name of the dataset."""

from tfds_builders.fake_data import disfa, disfa_plus, uva_nemo, video_folder

WRITERS = {
  "uva_nemo": uva_nemo.write,
  "disfa": disfa.write,
  "disfa_plus": disfa_plus.write,
  "video_folder": video_folder.write,
}
