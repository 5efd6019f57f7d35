/*
 * Typed values over a memory tier.
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "mtc/object.h"

/* A product: its name is on the heap, so that leaks and double frees show. */
typedef struct product {
    int64_t price;
    char *name;
} product;

/* What the codec and the loader did, and how they are to end. */
typedef struct shop {
    mtc_cache *cache;
    int encodes, decodes, destroys, loads;
    mtc_status encode_status, load_status;
    bool writes_alien;
} shop;

static char *text_copy(const char *text, size_t size)
{
    char *copy = malloc(size + 1);

    assert_non_null(copy);
    memcpy(copy, text, size);
    copy[size] = '\0';
    return copy;
}

static product product_make(int64_t price, const char *name)
{
    return (product){price, text_copy(name, strlen(name))};
}

static mtc_status product_encode(const void *object, void *ctx,
                                 mtc_writer *writer)
{
    const product *product = object;
    shop *shop = ctx;

    shop->encodes++;
    if (!shop->writes_alien) {
        mtc_writer_add(writer, mtc_str("P"));
    }
    mtc_writer_add(writer, mtc_bytes(&product->price, 8));
    mtc_writer_add(writer, mtc_str(product->name));
    return shop->encode_status;
}

static mtc_status product_decode(mtc_slice bytes, void *ctx, void *object)
{
    const char *data = bytes.data;
    product *product = object;
    shop *shop = ctx;

    shop->decodes++;
    if (bytes.size < 9 || data[0] != 'P') {
        return MTC_E_INVALID;
    }
    memcpy(&product->price, data + 1, 8);
    product->name = text_copy(data + 9, bytes.size - 9);
    return MTC_OK;
}

static void product_destroy(void *object, void *ctx)
{
    product *product = object;
    shop *shop = ctx;

    shop->destroys++;
    free(product->name);
    memset(product, 0xee, sizeof(*product));
}

static mtc_status product_load(mtc_load *load, void *ctx, void *object)
{
    product *product = object;
    shop *shop = ctx;

    shop->loads++;
    assert_true(mtc_load_key(load).size > 0);
    if (shop->load_status == MTC_OK) {
        *product = product_make(100 + shop->loads, "loaded");
    }
    return shop->load_status;
}

static int shop_open(void **state)
{
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    shop *shop = calloc(1, sizeof(*shop));

    options.tiers = "memory";
    *state = shop;
    return shop == NULL ||
           mtc_cache_open(&options, NULL, &shop->cache) != MTC_OK;
}

static int shop_close(void **state)
{
    shop *shop = *state;
    int failed = mtc_cache_close(&shop->cache) != MTC_OK;

    free(shop);
    return failed;
}

static mtc_codec codec_of(shop *shop)
{
    mtc_codec codec =
        MTC_CODEC_INIT(product_encode, product_decode, product_destroy, shop);

    return codec;
}

static mtc_status shop_get(shop *shop, const char *key, product *product)
{
    mtc_codec codec = codec_of(shop);

    return mtc_cache_get_object(shop->cache, mtc_str(key), &codec, product);
}

static mtc_status shop_get_or_load(shop *shop, const char *key,
                                   product *product)
{
    mtc_codec codec = codec_of(shop);
    mtc_object_loader loader =
        MTC_OBJECT_LOADER_INIT(&codec, product_load, shop);

    return mtc_cache_get_or_load_object(shop->cache, mtc_str(key),
                                        &MTC_SHORT_TERM, &loader, product);
}

static void assert_product(product *product, int64_t price, const char *name)
{
    assert_int_equal(product->price, price);
    assert_string_equal(product->name, name);
    free(product->name);
}

static void what_was_set_is_got(void **state)
{
    shop *shop = *state;
    mtc_codec codec = codec_of(shop);
    product in = product_make(5, "pen"), out;

    assert_int_equal(mtc_cache_set_object(shop->cache, mtc_str("k"), &codec,
                                          &in, &MTC_REAL_TIME),
                     MTC_OK);
    free(in.name);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(shop_get(shop, "k", &out), MTC_OK);
        assert_product(&out, 5, "pen");
    }
    assert_int_equal(shop->encodes, 1);
    assert_int_equal(shop->decodes, 2);
    assert_int_equal(shop->destroys, 0);
}

static void a_miss_decodes_nothing(void **state)
{
    shop *shop = *state;
    product out;

    assert_int_equal(shop_get(shop, "k", &out), MTC_MISS);
    assert_int_equal(shop->decodes, 0);
}

static void options_of_the_call_are_handed_on(void **state)
{
    shop *shop = *state;
    mtc_codec codec = codec_of(shop);
    mtc_object_loader loader =
        MTC_OBJECT_LOADER_INIT(&codec, product_load, shop);
    mtc_call call = MTC_CALL_INIT;
    mtc_strategy wrong = MTC_STRATEGY_INIT(0);
    product product = product_make(5, "pen");

    call.strategy = &wrong;
    assert_int_equal(mtc_cache_set_object_with(shop->cache, mtc_str("k"),
                                               &codec, &product, &call),
                     MTC_E_INVALID);
    call.strategy = NULL;
    assert_int_equal(mtc_cache_set_object_with(shop->cache, mtc_str("k"),
                                               &codec, &product, &call),
                     MTC_OK);
    free(product.name);
    call.flags = MTC_CALL_SKIP_MEMORY;
    assert_int_equal(mtc_cache_get_object_with(shop->cache, mtc_str("k"), &call,
                                               &codec, &product),
                     MTC_MISS);
    call.flags = 1u << 31;
    assert_int_equal(mtc_cache_get_or_load_object_with(shop->cache,
                                                       mtc_str("k"), &call,
                                                       &loader, &product),
                     MTC_E_INVALID);
}

static void a_strategy_is_handed_on(void **state)
{
    shop *shop = *state;
    mtc_codec codec = codec_of(shop);
    mtc_object_loader loader =
        MTC_OBJECT_LOADER_INIT(&codec, product_load, shop);
    mtc_strategy wrong = MTC_STRATEGY_INIT(0);
    product product = product_make(5, "pen");

    assert_int_equal(mtc_cache_set_object(shop->cache, mtc_str("k"), &codec,
                                          &product, &wrong),
                     MTC_E_INVALID);
    free(product.name);
    assert_int_equal(mtc_cache_get_or_load_object(shop->cache, mtc_str("k"),
                                                  &wrong, &loader, &product),
                     MTC_E_INVALID);
}

static void a_value_that_does_not_decode_is_corrupt(void **state)
{
    shop *shop = *state;
    mtc_value value;
    product out;

    assert_int_equal(mtc_cache_set(shop->cache, mtc_str("k"), mtc_str("alien"),
                                   NULL),
                     MTC_OK);
    assert_int_equal(shop_get(shop, "k", &out), MTC_E_CORRUPT);
    /* a plain get does not remove what it cannot read */
    assert_int_equal(mtc_cache_get(shop->cache, mtc_str("k"), &value), MTC_OK);
    mtc_value_free(&value);
}

static void an_object_is_loaded_once_and_decoded_for_each_caller(void **state)
{
    shop *shop = *state;
    product out;

    for (int i = 0; i < 3; i++) {
        assert_int_equal(shop_get_or_load(shop, "k", &out), MTC_OK);
        assert_product(&out, 101, "loaded");
    }
    assert_int_equal(shop->loads, 1);
    assert_int_equal(shop->encodes, 1);
    assert_int_equal(shop->destroys, 1);
    assert_int_equal(shop->decodes, 3);
}

static void what_does_not_decode_is_removed_and_loaded_again(void **state)
{
    shop *shop = *state;
    product out;

    assert_int_equal(mtc_cache_set(shop->cache, mtc_str("k"), mtc_str("alien"),
                                   NULL),
                     MTC_OK);
    assert_int_equal(shop_get_or_load(shop, "k", &out), MTC_OK);
    assert_product(&out, 101, "loaded");
    assert_int_equal(shop->loads, 1);
    assert_int_equal(shop_get(shop, "k", &out), MTC_OK);
    assert_product(&out, 101, "loaded");
}

static void it_is_loaded_again_only_once(void **state)
{
    shop *shop = *state;
    product out;

    shop->writes_alien = true;
    assert_int_equal(shop_get_or_load(shop, "k", &out), MTC_E_CORRUPT);
    assert_int_equal(shop->loads, 2);
    assert_int_equal(shop->destroys, 2);
}

static void a_deadline_holds_over_both_attempts(void **state)
{
    shop *shop = *state;
    mtc_codec codec = codec_of(shop);
    mtc_object_loader loader =
        MTC_OBJECT_LOADER_INIT(&codec, product_load, shop);
    mtc_call call = MTC_CALL_INIT;
    product out;

    call.deadline_ms = 60000;
    assert_int_equal(mtc_cache_set(shop->cache, mtc_str("k"), mtc_str("alien"),
                                   NULL),
                     MTC_OK);
    assert_int_equal(mtc_cache_get_or_load_object_with(shop->cache,
                                                       mtc_str("k"), &call,
                                                       &loader, &out),
                     MTC_OK);
    assert_product(&out, 101, "loaded");
}

static void
a_load_that_fails_gives_its_status_and_destroys_nothing(void **state)
{
    static const mtc_status cases[][2] = {
        {MTC_MISS, MTC_MISS},
        {MTC_E_UNAVAILABLE, MTC_E_UNAVAILABLE},
        {MTC_E_CORRUPT, MTC_E_CORRUPT},
        {MTC_PENDING, MTC_E_INVALID},
    };
    shop *shop = *state;
    product out;

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        shop->loads = 0;
        shop->load_status = cases[i][0];
        assert_int_equal(shop_get_or_load(shop, "k", &out), cases[i][1]);
        assert_int_equal(shop->loads, 1);
    }
    assert_int_equal(shop->encodes, 0);
    assert_int_equal(shop->destroys, 0);
}

static void an_encode_that_fails_gives_its_status_and_destroys(void **state)
{
    shop *shop = *state;
    mtc_codec codec = codec_of(shop);
    product in = product_make(1, "x"), out;

    shop->encode_status = MTC_E_TOO_LARGE;
    assert_int_equal(shop_get_or_load(shop, "k", &out), MTC_E_TOO_LARGE);
    assert_int_equal(shop->destroys, 1);
    assert_int_equal(mtc_cache_set_object(shop->cache, mtc_str("k"), &codec,
                                          &in, NULL),
                     MTC_E_TOO_LARGE);
    shop->encode_status = MTC_MISS; /* news is no end of an encode */
    assert_int_equal(mtc_cache_set_object(shop->cache, mtc_str("k"), &codec,
                                          &in, NULL),
                     MTC_E_INVALID);
    free(in.name);
    assert_int_equal(shop_get(shop, "k", &out), MTC_MISS);
}

static mtc_status half_encode(const void *object, void *ctx, mtc_writer *writer)
{
    (void)object;
    (void)ctx;
    assert_int_equal(mtc_writer_add(writer, mtc_str("half")), MTC_OK);
    assert_int_equal(mtc_writer_add(writer, mtc_bytes(NULL, 4)), MTC_E_INVALID);
    assert_int_equal(mtc_writer_add(writer, mtc_str("more")), MTC_E_INVALID);
    assert_int_equal(mtc_writer_add(NULL, mtc_str("more")), MTC_E_INVALID);
    return MTC_OK;
}

static void an_error_of_the_writer_is_not_forgotten(void **state)
{
    shop *shop = *state;
    mtc_codec codec = MTC_CODEC_INIT(half_encode, product_decode, NULL, shop);
    mtc_value value;

    assert_int_equal(mtc_cache_set_object(shop->cache, mtc_str("k"), &codec,
                                          shop, NULL),
                     MTC_E_INVALID);
    assert_int_equal(mtc_cache_get(shop->cache, mtc_str("k"), &value),
                     MTC_MISS);
}

static void wrong_codecs_and_loaders_are_refused(void **state)
{
    shop *shop = *state;
    mtc_codec codec = codec_of(shop);
    mtc_object_loader loader =
        MTC_OBJECT_LOADER_INIT(&codec, product_load, shop);
    product out;

    assert_int_equal(mtc_cache_get_object(shop->cache, mtc_str("k"), &codec,
                                          NULL),
                     MTC_E_INVALID);
    assert_int_equal(mtc_cache_get_object(shop->cache, mtc_str("k"), NULL,
                                          &out),
                     MTC_E_INVALID);
    codec.decode = NULL;
    assert_int_equal(mtc_cache_get_or_load_object(shop->cache, mtc_str("k"),
                                                  NULL, &loader, &out),
                     MTC_E_INVALID);
    codec.decode = product_decode;
    codec.struct_size = 8;
    assert_int_equal(mtc_cache_set_object(shop->cache, mtc_str("k"), &codec,
                                          &out, NULL),
                     MTC_E_INVALID);
    codec = codec_of(shop);
    loader.load = NULL;
    assert_int_equal(mtc_cache_get_or_load_object(shop->cache, mtc_str("k"),
                                                  NULL, &loader, &out),
                     MTC_E_INVALID);
    assert_int_equal(shop->loads, 0);
}

typedef struct asker {
    shop *shop;
    pthread_t thread;
    product out;
    mtc_status status;
} asker;

/* Decodes without counting: many threads use it at once. */
static mtc_status quiet_decode(mtc_slice bytes, void *ctx, void *object)
{
    shop quiet = {0};

    (void)ctx;
    return product_decode(bytes, &quiet, object);
}

static void *asker_run(void *ctx)
{
    asker *asker = ctx;
    mtc_codec codec = MTC_CODEC_INIT(product_encode, quiet_decode,
                                     product_destroy, asker->shop);
    mtc_object_loader loader =
        MTC_OBJECT_LOADER_INIT(&codec, product_load, asker->shop);

    asker->status =
        mtc_cache_get_or_load_object(asker->shop->cache, mtc_str("k"), NULL,
                                     &loader, &asker->out);
    return NULL;
}

static void every_one_of_many_callers_has_an_object_of_his_own(void **state)
{
    enum { ASKERS = 32 };
    static asker askers[ASKERS];
    shop *shop = *state;

    for (int i = 0; i < ASKERS; i++) {
        askers[i].shop = shop;
        assert_int_equal(pthread_create(&askers[i].thread, NULL, asker_run,
                                        &askers[i]),
                         0);
    }
    for (int i = 0; i < ASKERS; i++) {
        assert_int_equal(pthread_join(askers[i].thread, NULL), 0);
        assert_int_equal(askers[i].status, MTC_OK);
        for (int other = 0; other < i; other++) {
            assert_ptr_not_equal(askers[i].out.name, askers[other].out.name);
        }
    }
    for (int i = 0; i < ASKERS; i++) {
        assert_product(&askers[i].out, 101, "loaded");
    }
    assert_int_equal(shop->loads, 1);
    assert_int_equal(shop->destroys, 1);
}

#define shop_test(name)                                                        \
    cmocka_unit_test_setup_teardown(name, shop_open, shop_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        shop_test(what_was_set_is_got),
        shop_test(a_miss_decodes_nothing),
        shop_test(options_of_the_call_are_handed_on),
        shop_test(a_strategy_is_handed_on),
        shop_test(a_value_that_does_not_decode_is_corrupt),
        shop_test(an_object_is_loaded_once_and_decoded_for_each_caller),
        shop_test(what_does_not_decode_is_removed_and_loaded_again),
        shop_test(it_is_loaded_again_only_once),
        shop_test(a_deadline_holds_over_both_attempts),
        shop_test(a_load_that_fails_gives_its_status_and_destroys_nothing),
        shop_test(an_encode_that_fails_gives_its_status_and_destroys),
        shop_test(an_error_of_the_writer_is_not_forgotten),
        shop_test(wrong_codecs_and_loaders_are_refused),
        shop_test(every_one_of_many_callers_has_an_object_of_his_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
