"""Photos to try the generator on; NOTICE.md says where they come from."""

import pathlib

MONA_LISA = pathlib.Path(__file__).parent / "mona_lisa.jpg"
