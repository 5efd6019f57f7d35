/*
 * What stands for TLS in a build without it (-DMTC_TLS=OFF). Stateless; any
 * thread.
 */
#include <stdio.h>

#include "base/error.h"
#include "redis/tls.h"

#define NO_TLS "this build has no TLS (MTC_TLS=OFF)"

mtc_status mtci_tls_check(const mtci_redis_settings *settings, mtc_error *error)
{
    (void)settings;
    return mtci_fail(error, MTC_E_UNSUPPORTED, "redis", "redis: %s", NO_TLS);
}

mtc_status mtci_tls_begin(mtci_transport *transport,
                          const mtci_redis_settings *settings)
{
    (void)settings;
    snprintf(transport->failure, sizeof transport->failure, "%s", NO_TLS);
    transport->status = MTC_E_UNAVAILABLE;
    return MTC_E_UNAVAILABLE;
}
