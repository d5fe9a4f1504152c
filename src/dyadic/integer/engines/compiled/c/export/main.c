/* Classifies images from a file: one line an image, its class and then its logits.
 *
 *   classify FILE         raw: images one after another, DYADIC_PIXELS bytes each,
 *                         [channel][row][column]
 *   classify --idx FILE   IDX as MNIST's: 3 dimensions (one channel) or 4
 *   classify --test       whether this build gives the logits that it must
 *
 * Exit code 2, one line on stderr and nothing on stdout if the file is not such a file; 2 as well
 * if the output cannot be written, and 1 if the test fails.
 */
#include "dyadic_model.h"

#include <stdio.h>
#include <string.h>

enum { WORD = 4, MOST_DIMENSIONS = 4 };

static int refuse(const char *name, const char *reason)
{
    fprintf(stderr, "%s: %s\n", name, reason);
    return 2;
}

/* A big-endian word. */
static int read_word(FILE *file, uint32_t *word)
{
    unsigned char bytes[WORD];
    int i;
    if (fread(bytes, 1, WORD, file) != WORD)
        return 0;
    for (*word = 0, i = 0; i < WORD; i++)
        *word = *word << 8 | bytes[i];
    return 1;
}

/* The IDX header, or the reason why it is none; *count gets its number of images. */
static const char *read_header(FILE *file, uint32_t *count)
{
    static const uint32_t shape[] = {DYADIC_CHANNELS, DYADIC_HEIGHT, DYADIC_WIDTH};
    uint32_t magic, size;
    int dimensions, i;
    if (!read_word(file, &magic) || (magic != 0x803 && magic != 0x804))
        return "not an IDX file of bytes with 3 or 4 dimensions";
    dimensions = (int)(magic & 0xff);
    if (dimensions == 3 && DYADIC_CHANNELS != 1)
        return "3 dimensions, but the model takes several channels";
    if (!read_word(file, count))
        return "the header is cut off";
    for (i = MOST_DIMENSIONS - dimensions; i < 3; i++) {
        if (!read_word(file, &size))
            return "the header is cut off";
        if (size != shape[i])
            return "images of another size than the model's";
    }
    return NULL;
}

/* Reads whole images to the file's end; 0 if the last one is cut off. */
static int count_images(FILE *file, uint32_t *count)
{
    static uint8_t image[DYADIC_PIXELS];
    size_t got;
    for (*count = 0; (got = fread(image, 1, sizeof image, file)) == sizeof image; ++*count) {
    }
    return got == 0 && !ferror(file);
}

/* Whether all lines were written. */
static int classify(FILE *file, uint32_t count)
{
    static uint8_t image[DYADIC_PIXELS];
    int32_t logits[DYADIC_CLASSES];
    uint32_t i;
    int c;
    for (i = 0; i < count && !ferror(stdout); i++) {
        if (fread(image, 1, sizeof image, file) != sizeof image)
            return 0;
        printf("%d", dyadic_classify(image, logits));
        for (c = 0; c < DYADIC_CLASSES; c++)
            printf(" %ld", (long)logits[c]);
        printf("\n");
    }
    return fflush(stdout) == 0 && !ferror(stdout);
}

/* Everything is checked before the first image is classified. */
static int classify_file(FILE *file, const char *name, int idx)
{
    const char *reason = NULL;
    uint32_t announced = 0, count = 0;
    long begin;
    if (idx && (reason = read_header(file, &announced)))
        return refuse(name, reason);
    begin = ftell(file);
    if (begin < 0)
        return refuse(name, "not a file that can be read twice");
    if (!count_images(file, &count))
        return refuse(name, "the last image is cut off");
    if (idx && count != announced)
        return refuse(name, "the header announces another number of images");
    if (fseek(file, begin, SEEK_SET) != 0)
        return refuse(name, "not a file that can be read twice");
    return classify(file, count) ? 0 : refuse(name, "not all lines could be written");
}

static int test(void)
{
    const int wrong = dyadic_test() != 0;
    fputs(wrong ? "test failed: other logits than the reference's\n" : "test passed\n", stdout);
    if (fflush(stdout) != 0)
        return refuse("--test", "the output cannot be written");
    return wrong;
}

int main(int argc, char **argv)
{
    const int idx = argc == 3 && strcmp(argv[1], "--idx") == 0;
    FILE *file;
    int code;
    if (argc == 2 && strcmp(argv[1], "--test") == 0)
        return test();
    if (argc != 2 + idx)
        return refuse("classify", "usage: classify [--idx] FILE | classify --test");
    file = fopen(argv[1 + idx], "rb");
    if (!file)
        return refuse(argv[1 + idx], "cannot be opened");
    code = classify_file(file, argv[1 + idx], idx);
    fclose(file);
    return code;
}
