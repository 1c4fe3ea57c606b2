/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/guard/doubt.h"

#include "server/engine/guard/facts.h"
#include "server/engine/guard/guard.h"

enum { WAS_RESET = 1 << 30 }; /* a bit beside those of acts */

bool fxe_is_unproven(const struct fxe_obj *o, enum fxe_act act, const struct fxe_shape *s)
{
    int proven = __atomic_load_n(&o->proven, __ATOMIC_RELAXED);
    bool decode = act == FXE_ACT_reconstruct || act == FXE_ACT_decode,
         search = act == FXE_ACT_search || act == FXE_ACT_params || act == FXE_ACT_range ||
                  act == FXE_ACT_residual,
         harmless = act == FXE_ACT_save || act == FXE_ACT_clone || act == FXE_ACT_set ||
                    act == FXE_ACT_reset || act == FXE_ACT_free;
    bool doubtful = (decode && !s->decodes) || (s->lattice && !harmless) ||
                    (search && (!s->searches || (proven & WAS_RESET && !s->decodes)));
    return doubtful && !(proven & 1 << act);
}

void fxe_guard_called(const struct fxe_req *r)
{
    enum fxe_act act = fxe_act_of(r->op);
    struct fxe_obj *o;
    if (r->unproven && r->v[r->fn->nparams].i == 0)
        __atomic_fetch_or(&r->unproven->proven, 1 << act, __ATOMIC_RELAXED);
    if ((act == FXE_ACT_set || act == FXE_ACT_reset) && (o = fxe_index_of(r)))
        __atomic_store_n(&o->proven,
                         act == FXE_ACT_reset
                             ? WAS_RESET
                             : __atomic_load_n(&o->proven, __ATOMIC_RELAXED) & WAS_RESET,
                         __ATOMIC_RELAXED);
}

bool fxe_needs_finite(const struct fxe_shape *s, enum fxe_act act)
{
    return s->finds_finite ||
           (s->encodes_finite &&
            (act == FXE_ACT_add || act == FXE_ACT_add_with_ids || act == FXE_ACT_encode));
}
