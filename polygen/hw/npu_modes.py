"""The legal values of the two precision options of an Ascend NPU, in this one place."""

PRECISION_MODES = (
    'force_fp32',
    'allow_fp32_to_fp16',
    'force_fp16',
    'must_keep_origin_dtype',
    'allow_mix_precision',
    'cube_fp16in_fp32out',
    'allow_mix_precision_fp16',
    'allow_mix_precision_bf16',
    'allow_fp32_to_bf16',
)
PRECISION_MODES_V2 = (
    'fp16',
    'origin',
    'cube_fp16in_fp32out',
    'mixed_float16',
    'mixed_bfloat16',
)
# Those of both options that choose a format per operation, by lists that `modify_mixlist` changes.
MIXED_MODES = (
    'allow_mix_precision',
    'allow_mix_precision_fp16',
    'allow_mix_precision_bf16',
    'mixed_float16',
    'mixed_bfloat16',
)
