/*
 * Frames that nobody wrote. Stateless; see frame_rig.h.
 */
#include "support/frame_rig.h"

#include "base/hash.h"
#include "support/tier_call.h"

/* As in docs/frame.md. */
#define CHECKSUM_SEED UINT64_C(0x6d74632d66726d31)

void frame_rig_mend(unsigned char *bytes, size_t size)
{
    uint64_t seed = mtci_hash(mtc_bytes(bytes, 8), CHECKSUM_SEED);
    uint64_t sum = mtci_hash(mtc_bytes(bytes + 16, size - 16), seed);
    for (int i = 0; i < 8; i++)
        bytes[8 + i] = (unsigned char)(sum >> (8 * i));
}

void frame_rig_text(char *bytes, size_t size)
{
    static const char TEXT[] = "{\"name\":\"a teapot\",\"price\":";
    for (size_t i = 0; i < size; i++) {
        size_t at = i % 32;
        bytes[i] = at < sizeof TEXT - 1 ? TEXT[at] : (char)('0' + i / 32 % 10);
    }
}

void frame_rig_noise(char *bytes, size_t size, uint64_t seed)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)mtct_draw(&seed, 256);
}
