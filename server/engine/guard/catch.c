/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/guard/catch.h"

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unwind.h>

#include "proto/api.h"
#include "server/engine/guard/region.h"

#if defined(__x86_64__) || defined(__aarch64__)

extern const char fxe_guard_landing[];

#if defined(__x86_64__)
__asm__(".text\n"
        ".globl fxe_guard\n"
        ".hidden fxe_guard\n"
        ".type fxe_guard, @function\n"
        "fxe_guard:\n"
        "  .cfi_startproc\n"
        "  .cfi_personality 0x1b, fxe_personality\n"
        "  push %rbx\n"
        "  .cfi_def_cfa_offset 16\n"
        "  .cfi_offset %rbx, -16\n"
        "  mov %rdx, %rbx\n"
        "  mov %rdi, %rax\n"
        "  mov %rsi, %rdi\n"
        "  call *%rax\n"
        "  xor %eax, %eax\n"
        "  jmp 1f\n"
        ".globl fxe_guard_landing\n"
        ".hidden fxe_guard_landing\n"
        "fxe_guard_landing:\n"
        "  mov %rax, (%rbx)\n"
        "  mov $1, %eax\n"
        "1:\n"
        "  pop %rbx\n"
        "  .cfi_def_cfa_offset 8\n"
        "  ret\n"
        "  .cfi_endproc\n"
        ".size fxe_guard, .-fxe_guard\n");
#else
__asm__(".text\n"
        ".globl fxe_guard\n"
        ".hidden fxe_guard\n"
        ".type fxe_guard, %function\n"
        "fxe_guard:\n"
        "  .cfi_startproc\n"
        "  .cfi_personality 0x1b, fxe_personality\n"
        "  stp x29, x30, [sp, -32]!\n"
        "  .cfi_def_cfa_offset 32\n"
        "  .cfi_offset x29, -32\n"
        "  .cfi_offset x30, -24\n"
        "  str x19, [sp, 16]\n"
        "  .cfi_offset x19, -16\n"
        "  mov x19, x2\n"
        "  mov x9, x0\n"
        "  mov x0, x1\n"
        "  blr x9\n"
        "  mov w0, 0\n"
        "  b 1f\n"
        ".globl fxe_guard_landing\n"
        ".hidden fxe_guard_landing\n"
        "fxe_guard_landing:\n"
        "  str x0, [x19]\n"
        "  mov w0, 1\n"
        "1:\n"
        "  ldr x19, [sp, 16]\n"
        "  ldp x29, x30, [sp], 32\n"
        "  .cfi_def_cfa_offset 0\n"
        "  ret\n"
        "  .cfi_endproc\n"
        ".size fxe_guard, .-fxe_guard\n");
#endif

/* The frame of fxe_guard catches everything but a thread's cancellation. */
__attribute__((visibility("hidden"), used)) _Unwind_Reason_Code
fxe_personality(int version, _Unwind_Action actions, _Unwind_Exception_Class cls,
                struct _Unwind_Exception *e, struct _Unwind_Context *context)
{
    (void)version;
    (void)cls;
    if (actions & _UA_FORCE_UNWIND)
        return _URC_CONTINUE_UNWIND;
    if (actions & _UA_SEARCH_PHASE)
        return _URC_HANDLER_FOUND;
    _Unwind_SetGR(context, __builtin_eh_return_data_regno(0), (_Unwind_Word)(uintptr_t)e);
    _Unwind_SetIP(context, (_Unwind_Ptr)(uintptr_t)fxe_guard_landing);
    return _URC_INSTALL_CONTEXT;
}

#else /* no handler written for this processor: an exception ends the engine */

int fxe_guard(void (*f)(void *), void *arg, void **exception)
{
    (void)exception;
    f(arg);
    return 0;
}

#endif

/* The parts of libstdc++'s ABI that are needed to tell an exception's type. */
struct type_info {
    void *const *vtable;
    const char *name;
};

static struct {
    void *(*begin_catch)(void *);
    void (*end_catch)(void);
    const struct type_info *(*current_type)(void);
    const struct type_info *std_exception;
} runtime;

void fxe_catch_init(void *dl)
{
    fxe_find_symbol(dl, "__cxa_begin_catch", &runtime.begin_catch);
    fxe_find_symbol(dl, "__cxa_end_catch", &runtime.end_catch);
    fxe_find_symbol(dl, "__cxa_current_exception_type", &runtime.current_type);
    fxe_find_symbol(dl, "_ZTISt9exception", &runtime.std_exception);
    fxe_region_init(dl);
}

int fxe_has_classes(void)
{
    return runtime.std_exception != NULL;
}

const char *fxe_class_name(const void *object)
{
    if (!runtime.std_exception)
        return ""; /* a library without C++, such as the tests' recording library */
    /* The slot before a vtable's first function points to the type_info of the class. */
    const struct type_info *const *table = *(const struct type_info *const *const *)object;
    return table[-1] ? table[-1]->name : "";
}

/* Returns what() of a caught object of type `type`, or NULL if it is not a std::exception. */
static const char *what(const struct type_info *type, void *object)
{
    /* Vtable slots: type_info::__do_catch is the fifth, exception::what the third. */
    enum { DO_CATCH = 4, WHAT = 2 };
    typedef _Bool (*do_catch_fn)(const struct type_info *, const struct type_info *, void **,
                                 unsigned);
    typedef const char *(*what_fn)(const void *);
    do_catch_fn do_catch;
    what_fn get;
    if (!type || !runtime.std_exception)
        return NULL;
    memcpy(&do_catch, &runtime.std_exception->vtable[DO_CATCH], sizeof do_catch);
    if (!do_catch(runtime.std_exception, type, &object, 1))
        return NULL;
    memcpy(&get, &(*(void *const **)object)[WHAT], sizeof get);
    return get(object);
}

int fxe_catch(void (*f)(void *), void *arg, char *text, size_t len)
{
    void *exception = NULL;
    int code = UNKNOWN_EXCEPT;
    if (!fxe_guard(f, arg, &exception))
        return 0;
    snprintf(text, len, "Unknown error");
    if (!runtime.begin_catch || !runtime.end_catch || !runtime.current_type)
        return code;
    /* The address that begin_catch returns is unusable: a C++ personality routine would have to
     * compute it.  The object follows the unwinder's header, except for an exception rethrown in
     * another thread (the last bit of its class is set). */
    struct _Unwind_Exception *e = exception;
    int primary = (e->exception_class & 1) == 0;
    runtime.begin_catch(exception);
    const struct type_info *type = runtime.current_type();
    const char *w = primary ? what(type, e + 1) : NULL;
    if (w) {
        code = strcmp(type->name, "N5faiss14FaissExceptionE") == 0 ? FAISS_EXCEPT : STD_EXCEPT;
        snprintf(text, len, "%s", w);
    }
    runtime.end_catch();
    return code;
}
