"""Reading HDF5 files without the HDF5 library.

The library reads whatever a file claims: links to other files, data in other files, and, in files made to harm,
memory that is not its own: of 6000 small files with a few bytes changed, two ended the process that opened them and
three kept it busy without end. A model file comes from strangers. So unidl reads HDF5 in Python: what Keras and h5py
write, by default or with ``libver="latest"`` or ``track_order=True``, and nothing else, every address checked against
the end of the file. The format is that of https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html.

Not read, with an error that says so: soft and external links, data in other files, virtual data sets, and, with
``libver="latest"``, data sets that can grow.
"""

from __future__ import annotations

from unidl.saving._h5._buffer import DamagedFile
from unidl.saving._h5._file import Dataset, File, Group

__all__ = ["DamagedFile", "Dataset", "File", "Group"]
