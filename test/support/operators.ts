import type { Role } from '../../core/operators/operator.ts'
import { signRequest } from '../../functions/ops/command/sign.ts'
import { REGION } from '../local/event.ts'
import { localOperators } from '../local/iam.ts'

/** The operators whom the gateway of the tests knows. */
export const operators = localOperators()

/** Stands in the place of a token: `sendRaw` signs a request with it as an operator of the role. */
export const operatorToken = (role: Role): string => `operator:${role}`

/** Stands in the place of a token: `sendRaw` sends the admin key in its own header. */
export const adminKeyToken = (credential: string): string => `admin-key:${credential}`

/**
 * Headers that sign a request, if its Authorization header names an operator in this way, or the header of an admin key.
 */
export function signatureFor(
  authorization: string | undefined,
  { url, method, target, body }: { url: string; method: string; target: string; body: string | Uint8Array },
): Record<string, string> | undefined {
  const [, key] = /^Bearer admin-key:(\S+)$/.exec(authorization ?? '') ?? []
  if (key) return { 'api-key': key }
  const [, role] = /^Bearer operator:(read|support|admin)$/.exec(authorization ?? '') ?? []
  if (!role) return undefined
  const signing = { ...operators[role as Role], region: REGION }
  // The target may name another host, as a proxy's does.
  const path = target.replace(/^https?:\/\/[^/]*/, '')
  return signRequest(signing, { method, url: new URL(url + path), body }, Date.now())
}
