/**
 * The reason of an action for which the operator had another proof of who asks, in words. Both are for the company
 * alone: owners do not see why an operator acted.
 */
export const reasonWith = (reason: string, proof: string | undefined): string =>
  proof === undefined ? reason : `${reason} (proof of identity: ${proof})`
