# SPDX-License-Identifier: Apache-2.0
"""Constants of FAISS."""

METRIC_INNER_PRODUCT = 0
METRIC_L2 = 1
METRIC_L1 = 2
METRIC_Linf = 3
METRIC_Lp = 4
METRIC_Canberra = 20
METRIC_BrayCurtis = 21
METRIC_JensenShannon = 22
METRIC_Jaccard = 23
METRIC_NaNEuclidean = 24
METRIC_GOWER = 25

INDICES_CPU, INDICES_IVF, INDICES_32_BIT, INDICES_64_BIT = range(4)


def is_similarity_metric(metric):
    """Whether larger values of a metric are better."""
    return metric in (METRIC_INNER_PRODUCT, METRIC_Jaccard)


class AdditiveQuantizer:
    """The search types of additive quantizers."""

    (ST_decompress, ST_LUT_nonorm, ST_norm_from_LUT, ST_norm_float, ST_norm_qint8, ST_norm_qint4,
     ST_norm_cqint8, ST_norm_cqint4, ST_norm_lsq2x4, ST_norm_rq2x4) = range(10)

    def __init__(self, *args):
        raise NotImplementedError("faiss.AdditiveQuantizer: FAISS's C API has no constructor for "
                                  "it")


(SIMDLevel_NONE, SIMDLevel_AVX2, SIMDLevel_AVX512, SIMDLevel_AVX512_SPR, SIMDLevel_ARM_NEON,
 SIMDLevel_ARM_SVE, SIMDLevel_RISCV_RVV, SIMDLevel_AVX512_VPOPCNT, SIMDLevel_COUNT) = range(9)


class SIMDConfig:
    """The SIMD instructions that FAISS uses.  The C API tells and sets nothing of them: there is
    one level, which stands for what FAISS has chosen."""

    level = SIMDLevel_NONE
    supported_simd_levels = 1

    @staticmethod
    def get_level():
        return SIMDLevel_NONE

    get_dispatched_level = auto_detect_simd_level = get_level

    @staticmethod
    def get_level_name():
        return "NONE"

    @staticmethod
    def has_dynamic_dispatch():
        return False

    @staticmethod
    def is_simd_level_available(level):
        return level == SIMDLevel_NONE

    @staticmethod
    def set_level(level):
        if level != SIMDLevel_NONE:
            raise NotImplementedError("faiss.SIMDConfig.set_level: FAISS's C API cannot set it")


(EXACT_TOPK, APPROX_TOPK_BUCKETS_B32_D2, APPROX_TOPK_BUCKETS_B8_D3, APPROX_TOPK_BUCKETS_B16_D2,
 APPROX_TOPK_BUCKETS_B8_D2) = range(5)
EDENScaleType_UNBIASED, EDENScaleType_BIASED = 1, 2
