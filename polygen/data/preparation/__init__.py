"""From a folder of mesh files to arrays that training reads by index.

    settings    what decides the result      run        all of it
    tree        which files there are        one_file   one file -> examples, or why not
    pool        files in many processes      journal    what is done, and need not be done again
    labels      classes from folders         store      the arrays: written, mapped for reading
                                             report     what became of every file
"""
from .run import PrepareResult, prepare
from .settings import PrepareSettings
from .store import PreparedMeshes, PreparedSet, is_prepared, open_prepared
