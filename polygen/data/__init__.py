"""Mesh files, transforms, token sequences, examples and batches: numpy alone.

TensorFlow (tf.data pipelines), matplotlib (pictures) and trimesh (files that are not OBJ) are
imported inside the functions that need them.
"""
from .augment import random_shift, shuffle_vertices
from .batches import (
    BatchShape, batch_spec, evaluation_batches, make_batch, make_packed_batch, num_tokens,
    packed_evaluation_batches, padded_shape, training_batches)
from .buckets import BucketBatches
from .datasets import (
    make_face_model_dataset, make_vertex_model_dataset, packed_training_dataset, training_dataset)
from .examples import face_example, shift_mesh, vertex_example
from .folder import SAMPLES_FILE, MeshSet, check_limits, find_data, load_mesh_set
from .formats import FORMATS, require_format, write_mesh
from .given import MODEL_FRAME, Frame, GivenVertices, lowest_vertices, whole_vertices
from .obj import read_obj, read_obj_vertices, write_obj
from .order import batch_picks, example_rng
from .packing import PACKED_SPEC
from .plot import plot_meshes, write_contact_sheet
from .preparation import PrepareSettings, is_prepared, open_prepared, prepare
from .quantization import dequantize_verts, quantize_verts
from .reading import READABLE, read_mesh, read_vertices
from .sequences import flatten_faces, flatten_vertices, unflatten_faces, unflatten_vertices
from .shapes import primitive_meshes
from .statistics import MeshStatistics, mesh_statistics
from .transforms import (
    canonical_mesh, center_vertices, load_process_mesh, normalize_vertices_scale, process_mesh,
    quantize_process_mesh)
from .triangulation import triangulate
