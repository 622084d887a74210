/** Over which virshs something is asked of a domain: so that one that hangs holds up no other. It does not know what is asked. */
import type { Virsh } from '../../virsh/index.js';

/** As `act` of the connection; see there. */
export const actOn =
  (virsh: Virsh, domain: { readonly isAnswering: boolean }): Virsh['act'] =>
  (words, signal) =>
    domain.isAnswering ? virsh.act(words, signal) : virsh.actApart(words, signal);
