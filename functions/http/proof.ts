import * as z from 'zod/mini'
import type { SessionCaller } from '../../core/account/account.ts'
import { twofa, typedPassword } from '../../core/account/fields.ts'
import { proveRequest, requireRecentSession } from '../../core/credentials/proof.ts'
import type { Deps } from '../../core/ports.ts'
import { live } from './live.ts'
import { PROOF_NEEDS } from './route.ts'
import { validate } from './validate.ts'

const proofHeaders = z.object({
  'x-proof-password': z.optional(typedPassword),
  'x-proof-code': z.optional(twofa),
})

/**
 * The guard of rows with `proof: 'recent'`: lets a session pass whose user proved who they are in the last ten
 * minutes, or a request with a proof in its headers. Bundles of other rows leave this function out. The ports
 * that check a proof open only for a request that brings one.
 * @throws DomainError as `requireRecentSession` and `proveRequest` do
 */
export async function checkProof(
  deps: Deps,
  caller: SessionCaller,
  sent: Record<string, string | undefined>,
): Promise<void> {
  const { 'x-proof-password': password, 'x-proof-code': code } = validate(proofHeaders, sent)
  if (password === undefined && code === undefined) return requireRecentSession(deps, caller)
  const ports = await live(PROOF_NEEDS, 'InProofs')
  await proveRequest({ ...ports, log: deps.log }, caller, { password, twofa: code })
}
