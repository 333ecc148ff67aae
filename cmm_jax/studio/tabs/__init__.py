"""The tabs of the page, a file each.

A tab has a `TITLE` and `build(studio, page)`, which is called within the tab:
it adds components, and events that use what the `Studio` holds. Its files go
to the folder that `Studio.start` gives a job, and are shown by the addresses
that `studio.files.add` returns.
"""

from cmm_jax.studio.tabs import about, avatar, compare, make, run

TABS = (make, avatar, compare, run, about)
