import * as z from 'zod/mini'
import type { SessionCaller } from '../../core/account/account.ts'
import { twofa, typedPassword } from '../../core/account/fields.ts'
import { proveRequest, requireRecentSession } from '../../core/credentials/proof.ts'
import { vaultForCustomers } from '../../core/limits/vault-turn.ts'
import type { Deps } from '../../core/ports.ts'
import { live } from './live.ts'
import { optionalField } from './optional-field.ts'
import { PROOF_NEEDS } from './route.ts'
import { validate } from './validate.ts'

export const proofHeaders = z.object({
  'x-proof-password': optionalField(typedPassword),
  'x-proof-code': optionalField(twofa),
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
  const { 'x-proof-password': password, 'x-proof-code': code } = validate(proofHeaders, {
    ...sent,
    'x-proof-password': headerText(sent['x-proof-password']),
    'x-proof-code': headerText(sent['x-proof-code']),
  })
  if (password === undefined && code === undefined) return requireRecentSession(deps, caller)
  const ports = await live(PROOF_NEEDS, 'InProofs')
  const identity = vaultForCustomers(ports.identity, ports.clock)
  await proveRequest({ ...ports, identity, log: deps.log, origin: deps.origin }, caller, {
    password,
    twofa: code,
  })
}

/**
 * A header's text. Clients write UTF-8 into headers, but HTTP reads each of its bytes as one character. Text that
 * is not UTF-8 stays as it is.
 */
function headerText(value: string | undefined): string | undefined {
  if (value === undefined || !/^[\0-\xff]*$/.test(value)) return value
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(value, 'latin1'))
  } catch {
    return value
  }
}
