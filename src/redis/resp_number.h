/*
 * The numbers of RESP, strictly: what the protocol's grammar does not say is
 * refused. Stateless; any thread.
 */
#ifndef MTCI_REDIS_RESP_NUMBER_H
#define MTCI_REDIS_RESP_NUMBER_H

#include <stdbool.h>

#include "mtc/value.h"

/* A decimal number that fits, without sign tricks, blanks or leading zeros. */
bool mtci_resp_parse_integer(mtc_slice text, int64_t *number);

/* [+-]digits[.digits][e[+-]digits], inf, -inf or nan. */
bool mtci_resp_is_double(mtc_slice text);

/* [+-]digits, however many. */
bool mtci_resp_is_big_number(mtc_slice text);

#endif
