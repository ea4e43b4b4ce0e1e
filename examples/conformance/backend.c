/* A backend in C for `refquant-conformance run --cmd ./backend`: int8 quantizers, JSON lines.
   cc -O2 -o backend backend.c -lm */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char line[1 << 24];

/* Decode the bytes of input `name` into `out`; return how many there are. */
static int bytes_of(const char *name, void *out) {
    char key[64];
    snprintf(key, sizeof key, "\"%s\":{", name);
    const char *at = strstr(line, key);
    if (!at) return 0;
    at = strstr(at, "\"hex\":\"") + 7;
    int n = 0;
    for (unsigned byte; sscanf(at + 2 * n, "%2x", &byte) == 1; n++) ((unsigned char *)out)[n] = byte;
    return n;
}

static void reply(const char *shape_from, const void *data, int n) {
    const char *shape = strstr(strstr(line, shape_from), "\"shape\":");
    printf("{\"id\":%d,\"outputs\":{\"y\":{%.*s,\"hex\":\"", atoi(strstr(line, "\"id\":") + 5),
           (int)(strchr(shape, ']') + 1 - shape), shape);
    for (int i = 0; i < n; i++) printf("%02x", ((const unsigned char *)data)[i]);
    puts("\"}}}");
}

int main(void) {
    static float real[1 << 20];
    static signed char code[1 << 20];
    setvbuf(stdout, NULL, _IOLBF, 1 << 16);
    while (fgets(line, sizeof line, stdin)) {
        float scale = 1;
        signed char zero = 0;
        bytes_of("scale", &scale);
        bytes_of("zero_point", &zero);
        if (strstr(line, "\"hello\""))
            puts("{\"protocol\":1,\"name\":\"example in C\",\"version\":\"1\",\"capabilities\":"
                 "[[\"quantize_linear\",\"f32_i8\"],[\"dequantize_linear\",\"i8_f32\"]]}");
        else if (strstr(line, "\"op\":\"quantize_linear\"")) {
            int n = bytes_of("x", real) / 4;
            for (int i = 0; i < n; i++) {
                float q = nearbyintf(real[i] / scale) + zero;
                code[i] = q < -128 ? -128 : q > 127 ? 127 : q == q ? (signed char)q : 0;
            }
            reply("\"x\":{", code, n);
        } else {
            int n = bytes_of("x", code);
            for (int i = 0; i < n; i++) real[i] = (float)(code[i] - zero) * scale;
            reply("\"x\":{", real, 4 * n);
        }
    }
}
