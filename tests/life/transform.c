/* SPDX-License-Identifier: Apache-2.0 */
/* Transforms alone, and in front of indexes. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "life.h"

enum { D = 16, N = 30 };

typedef FaissVectorTransform VT;

enum kind { LINEAR = 1, REVERSES = 2 };

static void apply(VT *vt, unsigned kind)
{
    int in = (int)GET(VectorTransform_d_in, vt), out = (int)GET(VectorTransform_d_out, vt);
    float *x = floats((size_t)in * N, 3), *y = ROOM(float, N *out), *back = ROOM(float, N *in);
    GET(VectorTransform_is_trained, vt);
    RC(VectorTransform_train, vt, NT, floats((size_t)in * NT, 1));
    GET(VectorTransform_is_trained, vt);
    DO(VectorTransform_apply_noalloc, vt, N, x, y);
    SHOW("applied", y, N * out);
    if (HAVE(VectorTransform_apply)) {
        float *made = ASK(VectorTransform_apply, vt, N, x);
        SHOW("applied", made, N * out);
        free(made);
    }
    if (kind & LINEAR) {
        FaissLinearTransform *lt = (FaissLinearTransform *)vt;
        GET(LinearTransform_have_bias, lt);
        GET(LinearTransform_is_orthonormal, lt);
        DO(LinearTransform_transform_transpose, lt, N, y, back);
        SHOW("transposed", back, N * in);
        DO(LinearTransform_set_is_orthonormal, lt);
        if (GET(LinearTransform_is_orthonormal, lt) == 1)
            kind |= REVERSES;
    }
    if (kind & REVERSES) {
        DO(VectorTransform_reverse_transform, vt, N, y, back);
        SHOW("reversed", back, N * in);
    }
}

/* Offset of the transform in the file of an IndexPreTransform. */
enum { OFFSET = 4 + 4 + 3 * 8 + 1 + 4 + 4 };

static void from_file(FaissIndex *x, unsigned kind)
{
    char buf[8192];
    VT *vt = NULL;
    RC(write_index_fname, x, "life.index");
    FILE *in = fopen("life.index", "rb"), *out = fopen("life.vt", "wb");
    size_t n;
    if (in && out && fseek(in, OFFSET, SEEK_SET) == 0)
        while ((n = fread(buf, 1, sizeof buf, in)) > 0)
            fwrite(buf, 1, n, out);
    if (in)
        fclose(in);
    if (out)
        fclose(out);
    if (RC(read_VectorTransform_fname, "life.vt", &vt) == 0) {
        apply(vt, kind);
        DO(VectorTransform_free, vt);
    }
    unlink("life.index");
    unlink("life.vt");
}

/* Put `vt` in front of an index, and another transform before it.  The caller still owns vt. */
static void in_front(VT *vt, unsigned kind)
{
    int in = ASK(VectorTransform_d_in, vt), out = ASK(VectorTransform_d_out, vt);
    FaissIndex *part = NULL, *x = NULL;
    FaissNormalizationTransform *norm = NULL;
    struct subject s = {.d = in, .step = 1, .flags = ANY_IDS | LISTS};
    if (RC(index_factory, &part, out, "IVF8,Flat", METRIC_L2) != 0)
        return;
    if (RC(IndexPreTransform_new_with_transform, &x, vt, part) == 0) {
        s.index = x;
        same("index", ASK(IndexPreTransform_index, x), part);
        GET(Index_d, x);
        GET(IndexPreTransform_own_fields, x);
        life(&s);
        from_file(x, kind);
        if (RC(NormalizationTransform_new_with, &norm, in, 2) == 0) {
            RC(IndexPreTransform_prepend_transform, x, (VT *)norm);
            GET(Index_d, x);
            search(&s, 7, 5);
            look(&s);
        }
        DO(IndexPreTransform_free, x);
        if (norm)
            DO(NormalizationTransform_free, norm);
    }
    DO(Index_free, part);
}

static void pca(void)
{
    for (int i = 0; i < 3; i++) {
        FaissPCAMatrix *p = NULL;
        if (RC(PCAMatrix_new_with, &p, D, 8, i == 1 ? -0.5f : 0, i == 2) != 0)
            return;
        GET(PCAMatrix_eigen_power, p);
        GET(PCAMatrix_random_rotation, p);
        GET(PCAMatrix_balanced_bins, p);
        DO(PCAMatrix_set_balanced_bins, p, i == 0 ? 4 : 0);
        GET(PCAMatrix_balanced_bins, p);
        apply((VT *)p, LINEAR);
        in_front((VT *)p, LINEAR);
        DO(PCAMatrix_free, p);
    }
}

static void opq(void)
{
    FaissOPQMatrix *p = NULL;
    if (RC(OPQMatrix_new_with, &p, D, 4, 12) != 0)
        return;
    GET(OPQMatrix_niter, p);
    GET(OPQMatrix_niter_pq, p);
    GET(OPQMatrix_verbose, p);
    DO(OPQMatrix_set_niter, p, 5);
    DO(OPQMatrix_set_niter_pq, p, 2);
    DO(OPQMatrix_set_verbose, p, 0);
    GET(OPQMatrix_niter, p);
    GET(OPQMatrix_niter_pq, p);
    apply((VT *)p, LINEAR);
    in_front((VT *)p, LINEAR);
    DO(OPQMatrix_free, p);
}

static void rotation(void)
{
    FaissRandomRotationMatrix *p = NULL;
    for (int out = 8; out <= 24; out += 8) {
        if (RC(RandomRotationMatrix_new_with, &p, D, out) != 0)
            return;
        apply((VT *)p, LINEAR);
        in_front((VT *)p, LINEAR);
        DO(LinearTransform_free, (FaissLinearTransform *)p);
    }
}

static void itq(void)
{
    FaissITQMatrix *p = NULL;
    FaissITQTransform *t = NULL;
    if (RC(ITQMatrix_new_with, &p, D) == 0) {
        apply((VT *)p, LINEAR);
        in_front((VT *)p, LINEAR);
        DO(ITQMatrix_free, p);
    }
    for (int pca = 0; pca < 2; pca++) {
        if (RC(ITQTransform_new_with, &t, D, pca ? 8 : D, pca) != 0)
            return;
        GET(ITQTransform_do_pca, t);
        apply((VT *)t, 0);
        in_front((VT *)t, 0);
        DO(ITQTransform_free, t);
    }
}

static void others(void)
{
    FaissRemapDimensionsTransform *remap = NULL;
    FaissNormalizationTransform *norm = NULL;
    FaissCenteringTransform *center = NULL;
    for (int i = 0; i < 4; i++)
        if (RC(RemapDimensionsTransform_new_with, &remap, D, i & 2 ? 24 : 9, i & 1) == 0) {
            apply((VT *)remap, REVERSES);
            in_front((VT *)remap, REVERSES);
            DO(RemapDimensionsTransform_free, remap);
        }
    if (RC(NormalizationTransform_new_with, &norm, D, 2) == 0) {
        GET(NormalizationTransform_norm, norm);
        apply((VT *)norm, 0);
        in_front((VT *)norm, 0);
        DO(VectorTransform_free, (VT *)norm);
    }
    if (RC(CenteringTransform_new_with, &center, D) == 0) {
        apply((VT *)center, REVERSES);
        in_front((VT *)center, REVERSES);
        DO(CenteringTransform_free, center);
    }
}

/* An index that owns its transform. */
static void owned(void)
{
    FaissIndex *part = NULL, *x = NULL;
    FaissRandomRotationMatrix *p = NULL;
    FaissCenteringTransform *c = NULL;
    struct subject s = {.d = 20, .step = 1};
    if (RC(index_factory, &part, D, "Flat", METRIC_L2) != 0 ||
        RC(IndexPreTransform_new_with, &x, part) != 0)
        return;
    same("index", ASK(IndexPreTransform_index, x), part);
    RC(RandomRotationMatrix_new_with, &p, 20, D);
    RC(CenteringTransform_new_with, &c, 20);
    RC(IndexPreTransform_prepend_transform, x, (VT *)p);
    GET(Index_d, x);
    GET(Index_is_trained, x);
    RC(IndexPreTransform_prepend_transform, x, (VT *)c);
    GET(Index_is_trained, x);
    DO(IndexPreTransform_set_own_fields, x, 1);
    GET(IndexPreTransform_own_fields, x);
    s.index = x;
    life(&s);
    RC(RandomRotationMatrix_new_with, &p, 20, D + 1);
    RC(IndexPreTransform_new_with_transform, &x, (VT *)p, part); /* d differs */
    DO(RandomRotationMatrix_free, p);
    DO(IndexPreTransform_free, s.index);
}

const struct life transform_lives[] = {
    {"pca", pca}, {"opq", opq},       {"rotation", rotation},
    {"itq", itq}, {"others", others}, {"owned transforms", owned},
    {0},
};
