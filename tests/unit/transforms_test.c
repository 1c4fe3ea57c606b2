/* SPDX-License-Identifier: Apache-2.0 */
/* The transforms at the beginning of an index's file: what fits together is read, however the bytes
 * come, and what does not is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "server/engine/catalogue/transforms.h"

static struct {
    unsigned char data[4096];
    size_t size;
} file;

static struct fxe_transforms found;

static void put(const void *data, size_t n)
{
    memcpy(file.data + file.size, data, n);
    file.size += n;
}

static void put_int(int32_t v)
{
    put(&v, sizeof v);
}

/* `there` elements, all of them `value`. */
static void put_vector(uint64_t n, size_t there, int32_t value)
{
    put(&n, sizeof n);
    for (size_t i = 0; i < there; i++)
        put_int(value);
}

static void begin(int d, int n)
{
    static const unsigned char unused[3 * 8 + 1];
    file.size = 0;
    put("IxPT", 4);
    put_int(d);
    put(unused, sizeof unused);
    put_int(1);
    put_int(n);
}

static void end(int d_in, int d_out, int trained)
{
    put_int(d_in);
    put_int(d_out);
    put(trained ? "\1" : "\0", 1);
}

static void put_linear(int d_in, int d_out, int trained, size_t matrix, size_t bias)
{
    put("LTra", 4);
    put("\1", 1);
    put_vector(matrix, matrix, 0);
    put_vector(bias, bias, 0);
    end(d_in, d_out, trained);
}

static void put_norm(int d_in, int d_out)
{
    put("VNrm", 4);
    put_int(2);
    end(d_in, d_out, 1);
}

static void put_centering(int d, size_t mean)
{
    put("VCnt", 4);
    put_vector(mean, mean, 0);
    end(d, d, 1);
}

static void put_map(int d_in, int d_out, size_t n, int32_t value)
{
    put("RmDT", 4);
    put_vector(n, n, value);
    end(d_in, d_out, 1);
}

static void is_complete(int n)
{
    for (size_t size = 0; size < file.size; size++)
        assert_int_equal(fxe_transforms_read(file.data, size, &found), FXE_TRANSFORMS_MORE);
    assert_int_equal(fxe_transforms_read(file.data, file.size, &found), FXE_TRANSFORMS_COMPLETE);
    assert_int_equal(found.n, n);
    assert_int_equal(found.end, file.size);
}

static void is_wrong(const char *why)
{
    assert_int_equal(fxe_transforms_read(file.data, file.size, &found), FXE_TRANSFORMS_WRONG);
    assert_string_equal(found.why, why);
}

static void what_fits_is_read(void **state)
{
    (void)state;
    begin(4, 4);
    put_linear(4, 2, 1, 8, 2);
    put_centering(2, 2);
    put_map(2, 3, 3, -1);
    put_norm(3, 3);
    is_complete(4);
    assert_string_equal(found.part[2].type, "RemapDimensionsTransform");
    assert_int_equal(found.d, 4);
    assert_int_equal(found.part[0].d_out, 2);
    assert_true(found.part[0].trained);
    begin(4, 1);
    put_linear(4, 2, 0, 0, 0); /* until it is trained */
    is_complete(1);
    assert_false(found.part[0].trained);
    begin(4, 0);
    is_complete(0);
}

static void dimensions_must_fit_together(void **state)
{
    (void)state;
    begin(4, 1);
    put_norm(5, 5);
    is_wrong("transform 0, a NormalizationTransform, takes 5 dimensions, but the index has 4");
    begin(4, 2);
    put_linear(4, 2, 1, 8, 2);
    put_norm(3, 3);
    is_wrong(
        "transform 1, a NormalizationTransform, takes 3 dimensions, but the one before it makes 2");
    begin(4, 1);
    put_norm(4, 8);
    is_wrong("the NormalizationTransform is from 4 to 8 dimensions, expected 4");
    begin(4, 1);
    put_linear(4, -1, 1, 8, 2);
    is_wrong("the LinearTransform is from 4 to -1 dimensions, expected 1 to 1048576");
    begin(4, 1);
    put_linear(4, 1 << 30, 1, 8, 2);
    is_wrong("the LinearTransform is from 4 to 1073741824 dimensions, expected 1 to 1048576");
    begin(4, 1);
    put("HRot", 4);
    put_int(7);
    end(4, 2, 1);
    is_wrong("the HadamardRotation is from 4 to 2 dimensions, expected 4");
    begin(0, 0);
    is_wrong("the index has 0 dimensions, expected 1 to 1048576");
}

static void vectors_must_have_what_is_used(void **state)
{
    (void)state;
    begin(4, 1);
    put_linear(4, 2, 1, 7, 2);
    is_wrong("the matrix of the LinearTransform from 4 to 2 dimensions has 7 elements, expected 8");
    begin(4, 1);
    put_linear(4, 2, 1, 8, 1);
    is_wrong("the bias of the LinearTransform from 4 to 2 dimensions has 1 elements, expected 2");
    begin(4, 1);
    put_centering(4, 3);
    is_wrong(
        "the mean of the CenteringTransform from 4 to 4 dimensions has 3 elements, expected 4");
    begin(4, 1);
    put_map(4, 3, 2, 0);
    is_wrong("the map of the RemapDimensionsTransform from 4 to 3 dimensions has 2 elements, "
             "expected 3");
    begin(4, 1);
    put_map(4, 3, 3, 4);
    is_wrong("element 0 of the map of the RemapDimensionsTransform is 4, expected -1 to 3");
    begin(4, 1);
    put_map(4, 3, 3, -2);
    is_wrong("element 0 of the map of the RemapDimensionsTransform is -2, expected -1 to 3");
    begin(4, 1);
    put("VCnt", 4);
    put_vector((uint64_t)1 << 62, 0, 0);
    is_wrong("a vector of a transform would have 4611686018427387904 elements");
}

/* "Viqt": a mean, a byte, an ITQMatrix that is not applied, and a LinearTransform that is. */
static void put_itq(int d_in, int d_out, int inner_d_out, size_t matrix)
{
    put("Viqt", 4);
    put_vector((uint64_t)d_in, (size_t)d_in, 0);
    put("\1Viqm", 5);
    put_int(50);
    put_int(123);
    put("\0", 1);
    put_vector(0, 0, 0);
    put_vector(0, 0, 0);
    end(0, 0, 0);
    put_linear(d_in, inner_d_out, 1, matrix, (size_t)d_out);
    end(d_in, d_out, 1);
}

static void what_is_in_a_transform_must_fit_as_well(void **state)
{
    (void)state;
    begin(4, 1);
    put_itq(4, 2, 2, 8);
    is_complete(1);
    begin(4, 1);
    put_itq(4, 2, 1, 8);
    is_wrong("the ITQTransform from 4 to 2 dimensions has a LinearTransform from 4 to 1");
    begin(4, 1);
    put_itq(4, 2, 2, 7);
    is_wrong("the matrix of the LinearTransform from 4 to 2 dimensions has 7 elements, expected 8");
}

static void what_is_unknown_is_named(void **state)
{
    (void)state;
    begin(4, 1);
    put("ABCD", 4);
    is_wrong("the index has a transform 'ABCD', which is not known");
    begin(4, 33);
    is_wrong("the index has 33 transforms, expected at most 32");
    begin(4, -1);
    is_wrong("the index has -1 transforms, expected at most 32");
    memcpy(file.data, "IxF2", 4);
    is_wrong("the index's file begins with 'IxF2', expected 'IxPT'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_fits_is_read),
        cmocka_unit_test(dimensions_must_fit_together),
        cmocka_unit_test(vectors_must_have_what_is_used),
        cmocka_unit_test(what_is_in_a_transform_must_fit_as_well),
        cmocka_unit_test(what_is_unknown_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
