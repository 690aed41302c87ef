// The operator trigger_ml::TernaryMatMul for ONNX Runtime, and the same product through a C interface.
//
// Inputs: x float (..., inner); weights uint8 (blocks, groups, 64), see ternary.h; scale float (1); bias float (outer).
#include <algorithm>
#include <vector>

#include "ort_slots.h"
#include "ternary.h"

namespace {

const OrtApi* ort = nullptr;  // set once, when the library is registered

int available(const Kernel* list[3]) {
    int count = 0;
    list[count++] = &portable_kernel();
#if defined(__x86_64__) && !defined(PORTABLE_ONLY)
    if (__builtin_cpu_supports("avx2")) list[count++] = &avx2_kernel();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512vnni"))
        list[count++] = &avx512_kernel();
#endif
    return count;
}

const Kernel& best() {
    static const Kernel& chosen = []() -> const Kernel& {
        const Kernel* list[3];
        return *list[available(list) - 1];
    }();
    return chosen;
}

struct Scratch {
    std::vector<int8_t> q;
    std::vector<float> top;
    std::vector<int32_t> sum;

    void fit(Product& p) {
        const size_t bytes = static_cast<size_t>(p.rows) * p.groups * DEPTH;
        if (q.size() < bytes) q.resize(bytes);
        if (top.size() < static_cast<size_t>(p.rows)) top.resize(p.rows), sum.resize(p.rows);
        p.q = q.data(), p.top = top.data(), p.sum = sum.data();
    }
};

struct Share {
    const Product& p;
    const Kernel& kernel;
    int64_t parts;
    bool by_rows;
};

void piece(void* data, size_t i) {
    const Share& s = *static_cast<Share*>(data);
    const int64_t all = s.by_rows ? s.p.rows : s.p.blocks, part = static_cast<int64_t>(i);
    const int64_t first = all * part / s.parts, last = all * (part + 1) / s.parts;
    if (s.by_rows) {
        s.kernel.quantize(s.p, first, last);
        s.kernel.multiply(s.p, first, last, 0, s.p.blocks);
    } else {
        s.kernel.multiply(s.p, 0, s.p.rows, static_cast<int>(first), static_cast<int>(last));
    }
}

constexpr double SMALL = 1e6;   // products below which one thread does it all
constexpr int64_t TALL = 160;   // rows from which threads share rows, not columns

OrtStatus* run(const OrtKernelContext* context, const Product& p) {
    const Kernel& kernel = best();
    if (static_cast<double>(p.rows) * p.inner * p.outer >= SMALL) {
        Share share{p, kernel, 1, p.rows >= TALL};
        share.parts = share.by_rows ? std::min<int64_t>(8, p.rows / 80) : std::min<int64_t>(8, (p.blocks + 3) / 4);
        if (share.parts > 1) {
            if (!share.by_rows) kernel.quantize(p, 0, p.rows);
            void* data = &share;
            return ContextParallelFor::of(ort, context, piece, static_cast<size_t>(share.parts), size_t{0}, data);
        }
    }
    kernel.quantize(p, 0, p.rows);
    kernel.multiply(p, 0, p.rows, 0, p.blocks);
    return nullptr;
}

constexpr size_t MOST = 8;  // axes

struct Tensor {
    int64_t shape[MOST];
    size_t rank;
    void* data;
};

OrtStatus* read(const OrtValue* value, Tensor& t) {
    OrtTensorTypeAndShapeInfo* info = nullptr;
    if (OrtStatus* s = GetTensorTypeAndShape::of(ort, value, &info)) return s;
    OrtStatus* s = GetDimensionsCount::of(ort, info, &t.rank);
    if (!s && t.rank > MOST) s = CreateStatus::of(ort, ORT_INVALID_ARGUMENT, "TernaryMatMul: more than 8 axes");
    if (!s) s = GetDimensions::of(ort, info, t.shape, t.rank);
    ReleaseTensorTypeAndShapeInfo::of(ort, info);
    return s ? s : GetTensorMutableData::of(ort, const_cast<OrtValue*>(value), &t.data);
}

OrtStatus* compute(void*, OrtKernelContext* context) {
    Tensor in[4];
    for (size_t i = 0; i < 4; ++i) {
        const OrtValue* value = nullptr;
        if (OrtStatus* s = ContextGetInput::of(ort, context, i, &value)) return s;
        if (OrtStatus* s = read(value, in[i])) return s;
    }
    const Tensor &x = in[0], &w = in[1], &bias = in[3];
    const bool shaped = x.rank > 0 && w.rank == 3 && w.shape[2] == BYTES && bias.rank == 1;
    if (!shaped || (x.shape[x.rank - 1] + DEPTH - 1) / DEPTH != w.shape[1] ||
        (bias.shape[0] + COLUMNS - 1) / COLUMNS != w.shape[0])
        return CreateStatus::of(ort, ORT_INVALID_ARGUMENT, "TernaryMatMul: the shapes of x, weights and bias don't fit");
    Product p{};
    p.inner = static_cast<int>(x.shape[x.rank - 1]), p.outer = static_cast<int>(bias.shape[0]);
    p.blocks = static_cast<int>(w.shape[0]), p.groups = static_cast<int>(w.shape[1]);
    p.rows = 1;
    int64_t shape[MOST];
    for (size_t i = 0; i + 1 < x.rank; ++i) p.rows *= shape[i] = x.shape[i];
    shape[x.rank - 1] = p.outer;
    OrtValue* out = nullptr;
    void* y = nullptr;
    if (OrtStatus* s = ContextGetOutput::of(ort, context, size_t{0}, shape, x.rank, &out)) return s;
    if (OrtStatus* s = GetTensorMutableData::of(ort, out, &y)) return s;
    p.x = static_cast<const float*>(x.data), p.w = static_cast<const uint8_t*>(w.data);
    p.bias = static_cast<const float*>(bias.data), p.scale = *static_cast<const float*>(in[2].data);
    p.y = static_cast<float*>(y);
    static thread_local Scratch scratch;
    scratch.fit(p);
    return run(context, p);
}

const OrtCustomOp& op() {
    static const OrtCustomOp made = [] {
        OrtCustomOp o{};
        o.version = 16;
        o.CreateKernel = [](const OrtCustomOp*, const OrtApi*, const OrtKernelInfo*) -> void* { return &ort; };
        o.GetName = [](const OrtCustomOp*) { return "TernaryMatMul"; };
        o.GetExecutionProviderType = [](const OrtCustomOp*) { return "CPUExecutionProvider"; };
        o.GetInputType = [](const OrtCustomOp*, size_t i) { return i == 1 ? ORT_UINT8 : ORT_FLOAT; };
        o.GetInputTypeCount = [](const OrtCustomOp*) -> size_t { return 4; };
        o.GetOutputType = [](const OrtCustomOp*, size_t) { return ORT_FLOAT; };
        o.GetOutputTypeCount = [](const OrtCustomOp*) -> size_t { return 1; };
        o.KernelDestroy = [](void*) {};
        o.GetInputCharacteristic = [](const OrtCustomOp*, size_t) { return ORT_REQUIRED; };
        o.GetOutputCharacteristic = [](const OrtCustomOp*, size_t) { return ORT_REQUIRED; };
        o.GetInputMemoryType = [](const OrtCustomOp*, size_t) { return ORT_CPU_MEMORY; };
        o.GetVariadicInputMinArity = o.GetVariadicInputHomogeneity = [](const OrtCustomOp*) { return 0; };
        o.GetVariadicOutputMinArity = o.GetVariadicOutputHomogeneity = [](const OrtCustomOp*) { return 0; };
        o.CreateKernelV2 = [](const OrtCustomOp*, const OrtApi*, const OrtKernelInfo*, void** kernel) -> OrtStatus* {
            *kernel = &ort;
            return nullptr;
        };
        o.KernelComputeV2 = compute;
        return o;
    }();
    return made;
}

}  // namespace

#define EXPORT extern "C" __attribute__((visibility("default")))

EXPORT OrtStatus* RegisterCustomOps(OrtSessionOptions* options, const OrtApiBase* base) {
    ort = base->GetApi(ORT_VERSION);
    if (!ort) return nullptr;  // an older runtime: it then says that it does not know the operator
    OrtCustomOpDomain* domain = nullptr;
    if (OrtStatus* s = CreateCustomOpDomain::of(ort, "trigger_ml", &domain)) return s;
    if (OrtStatus* s = CustomOpDomainAdd::of(ort, domain, static_cast<const void*>(&op()))) return s;
    return AddCustomOpDomain::of(ort, options, domain);
}

// Names of the kernels that this processor has, the portable one first; null behind the last.
EXPORT const char* ternary_kernel(int i) {
    const Kernel* list[3];
    return i >= 0 && i < available(list) ? list[i]->name : nullptr;
}

// One product on one thread with the kernel of that number.
EXPORT void ternary_product(int kernel, const float* x, const uint8_t* w, float scale, const float* bias, int64_t rows,
                            int inner, int outer, float* y) {
    const Kernel* list[3];
    available(list);
    Product p{};
    p.x = x, p.w = w, p.bias = bias, p.y = y, p.scale = scale, p.rows = rows, p.inner = inner, p.outer = outer;
    p.groups = (inner + DEPTH - 1) / DEPTH, p.blocks = (outer + COLUMNS - 1) / COLUMNS;
    Scratch scratch;
    scratch.fit(p);
    list[kernel]->quantize(p, 0, rows);
    list[kernel]->multiply(p, 0, rows, 0, p.blocks);
}

// Products in registers alone with the kernel that is used: the limit that the others are measured against.
EXPORT int64_t ternary_peak(int64_t rounds) { return best().peak(rounds); }
