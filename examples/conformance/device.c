/* A device without Python: it has the vectors in vectors.h, computes, and compares bytes. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "vectors.h"

static void quantize(const float *x, size_t n, float scale, int zero, signed char *y) { /* yours */
    for (size_t i = 0; i < n; i++) {
        float q = nearbyintf(x[i] / scale) + (float)zero;
        y[i] = (signed char)(q < -128 ? -128 : q > 127 ? 127 : q);
    }
}

int main(void) {
    static float x[4096], scale;
    static signed char y[4096], zero;
    size_t tests = sizeof refquant_vectors / sizeof *refquant_vectors, wrong = 0;
    for (const struct refquant_vector *v = refquant_vectors; v < refquant_vectors + tests; v++) {
        scale = 1, zero = 0;
        for (size_t i = 0; i < v->expected; i++) { /* inputs come by name, in any order */
            void *to = !strcmp(v->data[i].name, "x") ? (void *)x
                     : !strcmp(v->data[i].name, "scale") ? (void *)&scale : (void *)&zero;
            memcpy(to, v->data[i].bytes, v->data[i].size);
        }
        quantize(x, v->data[v->expected].size, scale, zero, y);
        if (memcmp(y, v->data[v->expected].bytes, v->data[v->expected].size)) {
            printf("test %d: wrong\n", v->number);
            wrong++;
        }
    }
    printf("%zu tests, %zu wrong\n", tests, wrong);
    return wrong != 0;
}
