// The few functions of ONNX Runtime's C interface that the operator calls, declared here so that no header of it is
// needed. Its function table only grows: a slot keeps its number. Slots and layout as of interface version 17
// (ONNX Runtime 1.17) and later; the operator asks for that version.
#pragma once
#include <cstddef>
#include <cstdint>

struct OrtStatus;
struct OrtValue;
struct OrtSessionOptions;
struct OrtCustomOpDomain;
struct OrtKernelContext;
struct OrtKernelInfo;
struct OrtTensorTypeAndShapeInfo;

struct OrtApi {
    void* slot[275];
};

struct OrtApiBase {
    const OrtApi* (*GetApi)(uint32_t version);
    const char* (*GetVersionString)();
};

constexpr uint32_t ORT_VERSION = 17;
constexpr int ORT_FLOAT = 1, ORT_UINT8 = 2, ORT_REQUIRED = 0, ORT_CPU_MEMORY = 0, ORT_INVALID_ARGUMENT = 2;

template <int Slot, class Function>
struct OrtCall {
    template <class... Arguments>
    static auto of(const OrtApi* api, Arguments... arguments) {
        return reinterpret_cast<Function>(api->slot[Slot])(arguments...);
    }
};

using OrtTask = void (*)(void*, size_t);
using CreateStatus = OrtCall<0, OrtStatus* (*)(int, const char*)>;
using CreateCustomOpDomain = OrtCall<26, OrtStatus* (*)(const char*, OrtCustomOpDomain**)>;
using CustomOpDomainAdd = OrtCall<27, OrtStatus* (*)(OrtCustomOpDomain*, const void*)>;
using AddCustomOpDomain = OrtCall<28, OrtStatus* (*)(OrtSessionOptions*, OrtCustomOpDomain*)>;
using GetTensorMutableData = OrtCall<51, OrtStatus* (*)(OrtValue*, void**)>;
using GetDimensionsCount = OrtCall<61, OrtStatus* (*)(const OrtTensorTypeAndShapeInfo*, size_t*)>;
using GetDimensions = OrtCall<62, OrtStatus* (*)(const OrtTensorTypeAndShapeInfo*, int64_t*, size_t)>;
using GetTensorTypeAndShape = OrtCall<65, OrtStatus* (*)(const OrtValue*, OrtTensorTypeAndShapeInfo**)>;
using ContextGetInput = OrtCall<90, OrtStatus* (*)(const OrtKernelContext*, size_t, const OrtValue**)>;
using ContextGetOutput =
    OrtCall<91, OrtStatus* (*)(OrtKernelContext*, size_t, const int64_t*, size_t, OrtValue**)>;
using ReleaseTensorTypeAndShapeInfo = OrtCall<99, void (*)(OrtTensorTypeAndShapeInfo*)>;
using ContextParallelFor = OrtCall<274, OrtStatus* (*)(const OrtKernelContext*, OrtTask, size_t, size_t, void*)>;

// An operator as ONNX Runtime sees it (version 16 of the structure: what stands behind it is not read).
struct OrtCustomOp {
    uint32_t version;
    void* (*CreateKernel)(const OrtCustomOp*, const OrtApi*, const OrtKernelInfo*);
    const char* (*GetName)(const OrtCustomOp*);
    const char* (*GetExecutionProviderType)(const OrtCustomOp*);
    int (*GetInputType)(const OrtCustomOp*, size_t);
    size_t (*GetInputTypeCount)(const OrtCustomOp*);
    int (*GetOutputType)(const OrtCustomOp*, size_t);
    size_t (*GetOutputTypeCount)(const OrtCustomOp*);
    void (*KernelCompute)(void*, OrtKernelContext*);
    void (*KernelDestroy)(void*);
    int (*GetInputCharacteristic)(const OrtCustomOp*, size_t);
    int (*GetOutputCharacteristic)(const OrtCustomOp*, size_t);
    int (*GetInputMemoryType)(const OrtCustomOp*, size_t);
    int (*GetVariadicInputMinArity)(const OrtCustomOp*);
    int (*GetVariadicInputHomogeneity)(const OrtCustomOp*);
    int (*GetVariadicOutputMinArity)(const OrtCustomOp*);
    int (*GetVariadicOutputHomogeneity)(const OrtCustomOp*);
    OrtStatus* (*CreateKernelV2)(const OrtCustomOp*, const OrtApi*, const OrtKernelInfo*, void**);
    OrtStatus* (*KernelComputeV2)(void*, OrtKernelContext*);
    void* unused[16];
};
