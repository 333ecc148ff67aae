"""The parsers that read files of others, each with files to damage.

A `Kind` writes good files once (`write`); `read` is what the project does with
such a file, up to the arrays.
"""

from faults import media_files, run_files, table_files

KINDS = (*media_files.KINDS, *table_files.KINDS, *run_files.KINDS)
