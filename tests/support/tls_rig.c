/*
 * Certificates. See tls_rig.h. One thread.
 */
#include "support/tls_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char MAKE[] =
    "set -e; cd %s; exec >log 2>&1\n"
    "authority() { openssl req -x509 -newkey rsa:2048 -nodes -days 30 \\\n"
    "  -keyout $1.key -out $1.crt -subj /CN=$1; }\n"
    "signed() { echo \"subjectAltName=$3\" >ext\n"
    "  openssl req -newkey rsa:2048 -nodes -keyout $1.key -out csr \\\n"
    "    -subj /CN=$1\n"
    "  openssl x509 -req -in csr -CA $2.crt -CAkey $2.key -CAcreateserial \\\n"
    "    -days $4 -extfile ext -out $1.crt; }\n"
    "here=DNS:localhost,IP:127.0.0.1\n"
    "authority ca; authority other_ca\n"
    "signed good ca $here 30; signed again ca $here 30\n"
    "signed expired ca $here -1; signed client ca DNS:client 30\n"
    "signed elsewhere ca DNS:cache.example 30\n"
    "signed named ca DNS:localhost,DNS:127.0.0.1 30\n"
    "signed stranger other_ca $here 30\n"
    "openssl req -x509 -newkey rsa:2048 -nodes -days 30 -keyout self.key \\\n"
    "  -out self.crt -subj /CN=self -addext subjectAltName=$here\n"
    "openssl rsa -in good.key -aes128 -passout pass:x -out locked.key\n";

bool tls_rig_make(char dir[64])
{
    char script[sizeof MAKE + 64];
    snprintf(dir, 64, "/tmp/mtc_tls_XXXXXX");
    if (!mkdtemp(dir))
        return false;
    snprintf(script, sizeof script, MAKE, dir);
    return system(script) == 0;
}

void tls_rig_remove(const char *dir)
{
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    if (system(command) != 0)
        fprintf(stderr, "%s stays\n", dir);
}

void tls_rig_args_init(tls_rig_args *args, const char *dir, const char *name)
{
    static const char *const FIXED[] = {"--tls-auth-clients no",
                                        "--tls-cluster yes",
                                        "--tls-replication yes"};
    *args = (tls_rig_args){0};
    snprintf(args->files[0], sizeof args->files[0],
             "--tls-cert-file %.64s/%.16s.crt", dir, name);
    snprintf(args->files[1], sizeof args->files[1],
             "--tls-key-file %.64s/%.16s.key", dir, name);
    snprintf(args->files[2], sizeof args->files[2],
             "--tls-ca-cert-file %.64s/ca.crt", dir);
    for (size_t i = 0; i < 3; i++) {
        args->words[i] = args->files[i];
        args->words[3 + i] = FIXED[i];
    }
    for (size_t i = 0; i < 6; i++)
        args->lines[i] = args->words[i] + strlen("--");
}
