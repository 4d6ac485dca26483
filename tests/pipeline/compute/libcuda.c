/* The part of NVIDIA's driver library that is asked, with answers from the environment: for machines without a GPU. */
#include <stdlib.h>
#include <string.h>

static long long of(const char *name, long long otherwise) {
    const char *value = getenv(name);
    return value ? atoll(value) : otherwise;
}
int cuInit(unsigned flags) { return (int)of("FAKE_INIT", 0); }
int cuDriverGetVersion(int *version) { *version = (int)of("FAKE_CUDA", 12040); return 0; }
int cuDeviceGetCount(int *count) { *count = (int)of("FAKE_CARDS", 1); return 0; }
int cuDeviceGetName(char *name, int length, int device) { strncpy(name, "Fake A100", length); return 0; }
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    int capability = (int)of("FAKE_CAPABILITY", 80);
    *value = attribute == 75 ? capability / 10 : capability % 10;
    return attribute == 75 || attribute == 76 ? 0 : 1;
}
int cuDeviceTotalMem_v2(size_t *total, int device) { *total = 40000000000; return 0; }
int cuDevicePrimaryCtxRetain(void **context, int device) { return (int)of("FAKE_CONTEXT", 0); }
int cuCtxPushCurrent_v2(void *context) { return 0; }
int cuCtxPopCurrent_v2(void **context) { return 0; }
int cuMemGetInfo_v2(size_t *free, size_t *total) { *free = of("FAKE_FREE", 39000000000); *total = 40000000000; return 0; }
