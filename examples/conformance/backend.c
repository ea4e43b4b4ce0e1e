/* A backend in C: a case is a line of JSON on stdin, the answer a line on stdout, on a little-endian machine. */
#include <math.h>
#include <stdio.h>
#include <string.h>
static char line[1 << 24];
static float real[1 << 20], scale;
static signed char code[1 << 20], zero;
static int digit(char c) { return c <= '9' ? c - '0' : c - 'a' + 10; }
static int clamp(float q) { return q != q ? 0 : q < -128 ? -128 : q > 127 ? 127 : (int)q; } /* NaN: 0 */
/* Decode the hex bytes of one input into `out`; return how many there are, 0 if it is not given. */
static long input(const char *key, void *out, long room) {
    const char *at = strstr(line, key), *hex = at ? strstr(at, "\"hex\":\"") + 7 : "\"";
    long n = 0;
    for (; hex[2 * n] != '"' && n < room; n++)
        ((unsigned char *)out)[n] = (unsigned char)(16 * digit(hex[2 * n]) + digit(hex[2 * n + 1]));
    return n;
}
static void reply(const void *y, long bytes) { /* in the shape of x; the line begins {"id":7, */
    const char *shape = strstr(strstr(line, "\"x\":{"), "\"shape\":"), *end = strchr(shape, ']') + 1;
    printf("%.*s\"outputs\":{\"y\":{%.*s,\"hex\":\"", (int)strcspn(line, ",") + 1, line, (int)(end - shape), shape);
    for (long i = 0; i < bytes; i++) printf("%02x", ((const unsigned char *)y)[i]);
    puts("\"}}}");
}
int main(void) {
    for (long n; fgets(line, sizeof line, stdin); fflush(stdout)) {
        input("\"scale\":{", &scale, sizeof scale);
        if (!input("\"zero_point\":{", &zero, 1)) zero = 0;
        if (strstr(line, "\"hello\"")) puts("{\"protocol\":1,\"name\":\"example in C\",\"version\":\"1\","
            "\"capabilities\":[[\"quantize_linear\",\"f32_i8\"],[\"dequantize_linear\",\"i8_f32\"]]}");
        else if (strstr(line, "\"op\":\"quantize_linear\",\"scheme\":\"f32_i8\"")) {
            n = input("\"x\":{", real, sizeof real) / (long)sizeof *real;
            for (long i = 0; i < n; i++) code[i] = (signed char)clamp(nearbyintf(real[i] / scale) + zero);
            reply(code, n);
        } else if (strstr(line, "\"op\":\"dequantize_linear\",\"scheme\":\"i8_f32\"")) {
            n = input("\"x\":{", code, sizeof code);
            for (long i = 0; i < n; i++) real[i] = (float)(code[i] - zero) * scale;
            reply(real, n * (long)sizeof *real);
        } else printf("%.*s\"unsupported\":\"one scale, int8\"}\n", (int)strcspn(line, ",") + 1, line);
    }
}
