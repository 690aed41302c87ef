// Plays one packed input word a clock into a verilated module and records its packed outputs after every clock edge.
//
//   simulate INPUT... OUTPUT...        one file for each port, in the order of ports.h
//
// Files hold one record a clock: the port's vector, little-endian, in (width + 7) / 8 bytes.
// ports.h is generated: MODULE and the lists INPUTS(F) and OUTPUTS(F) of F(name, bytes).

#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "ports.h"
#include "verilated.h"

namespace {

struct Closer {
    void operator()(std::FILE *file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, Closer>;

int fail(const char *what, const char *name) {
    std::fprintf(stderr, "%s %s\n", what, name);
    return 1;
}

}  // namespace

int main(int argc, char **argv) {
    static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "records are little-endian");
    const int ports = 0
#define COUNT(name, bytes) +1
        INPUTS(COUNT) OUTPUTS(COUNT);
    if (argc != ports + 1) return fail("usage: simulate INPUT... OUTPUT..., got", argv[0]);

    std::vector<File> files;
    int inputs = 0
        INPUTS(COUNT);
    for (int i = 1; i < argc; ++i) {
        files.emplace_back(std::fopen(argv[i], i <= inputs ? "rb" : "wb"));
        if (!files.back()) return fail("can't open", argv[i]);
    }

    const auto context = std::make_unique<VerilatedContext>();
    const auto module = std::make_unique<MODULE>(context.get());
    module->clk = 0;
    module->eval();
    for (;;) {
        int at = 0;
        bool more = true;
#define READ(name, bytes) more = std::fread(&module->name, 1, bytes, files[at++].get()) == bytes && more;
        INPUTS(READ)
        if (!more) break;
        module->clk = 1;
        module->eval();
#define WRITE(name, bytes) \
    if (std::fwrite(&module->name, 1, bytes, files[at].get()) != bytes) return fail("can't write", argv[at + 1]); \
    ++at;
        OUTPUTS(WRITE)
        module->clk = 0;
        module->eval();
    }
    module->final();
    return 0;
}
