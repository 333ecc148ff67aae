"""From raw videos and photos to aligned faces, one module per step.

  photo, decode                       photos and frames of videos
  faces, mediapipe_faces, detectors   detected faces and their landmarks
  face_landmarker, blazeface,
    face_mesh, rotated_crops          MediaPipe's models, their input and output
  neutral                             whether a face is neutral
  track, detection_cache              one face through a video
  action_units, disfa                 AU06 and AU12 of every frame
  segment                             the neutral-to-smile segment
  align                               aligned faces
  pipeline                            a video to clips: all of the above
  batch, results, preview             many videos, and what became of each

`clip` defines the input, the settings and the output of the pipeline; `crops`,
`gaps`, `storage` and `table` serve several steps.
"""
