import { createHash } from 'node:crypto'
import { DomainError } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { expr, join } from './expression.ts'
import { keys, REQUEST_KEPT_MS, ttlAt } from './keys.ts'
import type { Write } from './table.ts'

/** An Idempotency-Key to store with the purchase or verification that its request begins. */
export interface RequestKey {
  /** Digest of the key. */
  mac: string
  /** Digest of the request that came with the key. */
  request: string
  /** Id of the abandoned purchase or verification that the stored key belongs to; undefined for a new key. */
  replaces: string | undefined
}

/** Digest by which two values can be compared without storing them. */
export const digestOf = (value: unknown): string =>
  createHash('sha256').update(JSON.stringify(value)).digest('base64url').slice(0, 24)

/**
 * Looks up an Idempotency-Key. A key belongs to one request of an account, whichever endpoint took it.
 * @param idempotencyKey as sent; with a space of its own, the space and the key.
 * @param content the request as sent; another content under the same key is refused.
 * @returns the key to store, and in `replaces` the id of what an earlier request with the key began.
 * @throws DomainError `idempotency_key_reused`
 */
export async function readRequestKey(
  deps: Deps<'table'>,
  accountId: string,
  idempotencyKey: string | readonly string[],
  content: unknown,
): Promise<RequestKey> {
  const [mac, request] = [digestOf(idempotencyKey), digestOf(content)]
  const item = await deps.table.get(keys.request(accountId, mac))
  // DynamoDB may delete an item long after its expiry.
  const live = item && Number(item.ttl) * 1000 > deps.clock.nowMs() ? item : undefined
  if (!live) return { mac, request, replaces: undefined }
  if (live.request !== request) throw new DomainError('idempotency_key_reused')
  return { mac, request, replaces: String(live.beganId) }
}

/** Stores a key, unless a concurrent request has used it. `beganId` is what the request begins. */
export function storeRequestKey(deps: Deps, accountId: string, key: RequestKey, beganId: string): Write {
  const nowMs = deps.clock.nowMs()
  const { mac, request, replaces } = key
  const isFree = expr`attribute_not_exists(pk) OR #ttl <= ${Math.floor(nowMs / 1000)}`
  return {
    put: { ...keys.request(accountId, mac), beganId, request, ...ttlAt(nowMs + REQUEST_KEPT_MS) },
    if: replaces === undefined ? isFree : join([isFree, expr`#beganId = ${replaces}`], ' OR '),
  }
}
