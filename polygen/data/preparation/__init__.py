"""From a folder of mesh files to arrays that training reads by index.

    tree        which files there are          one_file   one file -> examples, or why not
    pool        many files, many processes     journal    what is done, so that nothing is done twice
    labels      classes from folders           store      the arrays: written, and mapped for reading
    run         all of it                      report     what became of every file
"""
from .run import PrepareResult, prepare
from .settings import PrepareSettings
from .store import PreparedMeshes, PreparedSet, is_prepared, open_prepared
