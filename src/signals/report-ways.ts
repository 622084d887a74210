/**
 * Under which names a guest's report is found: what the guest and its host must call the same. It imports nothing, so that it costs a
 * guest nothing.
 */

/** The port of virtio-serial through which our own agent tells, in every virtual machine that has one. */
export const OWN_PORT = 'org.selfballoon.0';

/** What a Xen guest has of its own in xenstore, below its home. The toolstack lets a guest write below `data`. */
export const REPORT_FOLDER = 'data/selfballoon';
/** Where its report is. */
export const REPORT_NODE = `${REPORT_FOLDER}/report`;
