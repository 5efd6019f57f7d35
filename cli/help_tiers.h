/*
 * mtc help tiers: the URLs of tiers and every option that they take.
 */
#ifndef MTC_CLI_HELP_TIERS_H
#define MTC_CLI_HELP_TIERS_H

#include "output.h"

/* For the terminal, or as the reference page docs/options.md. */
tool_exit help_tiers(bool is_markdown);

#endif
