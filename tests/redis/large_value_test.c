/*
 * labels: server
 *
 * A value of 500 MiB passes both ways with at most 1.1 times its size in
 * memory. Only with MTC_TEST_FULL=1: it takes 1.5 GiB and some seconds.
 */
#include "redis/client.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "redis/call.h"
#include "support/redis_rig.h"
#include "support/server.h"

#define VALUE_SIZE ((size_t)500 << 20)
#define CALL_MS    60000

/* The most memory that this process ever had, in bytes. */
static size_t peak_size(void)
{
    char line[256];
    unsigned long peak_kib = 0;
    FILE *file = fopen("/proc/self/status", "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "VmHWM: %lu", &peak_kib) == 1)
            break;
    fclose(file);
    return (size_t)peak_kib * 1024;
}

static void fill(unsigned char *bytes)
{
    for (size_t i = 0; i < VALUE_SIZE; i++)
        bytes[i] = (unsigned char)(i * 7 + i / 65521);
}

static bool is_filled(const unsigned char *bytes)
{
    for (size_t i = 0; i < VALUE_SIZE; i++)
        if (bytes[i] != (unsigned char)(i * 7 + i / 65521))
            return false;
    return true;
}

static mtc_status call(mtci_redis_client *client, mtci_redis_command *command,
                       mtci_reply *reply)
{
    char failure[MTCI_CALL_FAILURE_SIZE];
    mtc_status status =
        mtci_redis_call(client, command, mtci_boot_ms() + CALL_MS, failure,
                        reply);
    if (status != MTC_OK)
        print_message("%s\n", failure);
    return status;
}

static void store(mtci_redis_client *client)
{
    mtci_reply reply;
    void *bytes;
    mtci_redis_command *command = mtci_command_new(MTCI_REPLY_STATUS);
    assert_non_null(command);
    assert_int_equal(mtc_value_new(VALUE_SIZE, &bytes, &command->payload),
                     MTC_OK);
    fill(bytes);
    mtci_resp_begin(&command->bytes, 3);
    mtci_resp_add_text(&command->bytes, "SET");
    mtci_resp_add_text(&command->bytes, "large");
    mtci_resp_open(&command->bytes, VALUE_SIZE);
    command->split = command->bytes.size;
    mtci_resp_close(&command->bytes);
    assert_int_equal(call(client, command, &reply), MTC_OK);
    mtci_reply_fini(&reply);
}

static void a_value_of_500_mib_passes_both_ways(void **state)
{
    (void)state;
    const char *full = getenv("MTC_TEST_FULL");
    if (!full || strcmp(full, "1") != 0)
        skip();
    test_server_require(TEST_REDIS);
    test_server server;
    assert_true(test_server_start(&server, TEST_REDIS, NULL));
    mtci_redis_client *client = redis_rig_client(server.port);
    mtci_client_settings(client)->bulk_size_max = (size_t)512 << 20;
    mtci_reply reply;
    store(client);
    size_t stored = peak_size();
    assert_int_equal(call(client,
                          redis_rig_command(MTCI_REPLY_BULK, "GET large"),
                          &reply),
                     MTC_OK);
    assert_int_equal(mtci_reply_slice(&reply).size, VALUE_SIZE);
    assert_true(is_filled(mtci_reply_slice(&reply).data));
    size_t peak = peak_size();
    print_message("peak %.3f of the value after SET, %.3f after GET\n",
                  (double)stored / VALUE_SIZE, (double)peak / VALUE_SIZE);
    assert_true(peak <= VALUE_SIZE + VALUE_SIZE / 10);
    mtci_reply_fini(&reply);
    mtci_client_free(client);
    test_server_stop(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_of_500_mib_passes_both_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
