import * as z from 'zod/mini'
import { DomainError } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { expr } from '../table/expression.ts'
import { keys, REQUEST_KEPT_MS, ttlAt } from '../table/keys.ts'
import { digestOf } from '../table/request-key.ts'
import type { Write } from '../table/table.ts'

/** A request that came with an Idempotency-Key. */
export interface NamedRequest {
  /** Digest of the key. */
  mac: string
  /** Digest of the endpoint and its input. */
  request: string
  /** How long the answer is stored, ms. */
  keptMs: number
}

/** @param request names the endpoint and its input; another request with the same key is refused. */
export const namedRequest = (
  idempotencyKey: string | undefined,
  request: unknown,
  keptMs = REQUEST_KEPT_MS,
): NamedRequest | undefined =>
  idempotencyKey === undefined
    ? undefined
    : { mac: digestOf(idempotencyKey), request: digestOf(request), keptMs }

const answerSchema = z.object({
  request: z.string(),
  ttl: z.number(),
  /** Absent if the key stands for a purchase or a card. */
  answer: z.optional(z.string()),
})

/** Stores the answer of a named request, in the transaction of the change, so that a repeat gets it again. */
export const storeAnswer = (
  deps: Deps<'keyring'>,
  accountId: string,
  { mac, request, keptMs }: NamedRequest,
  answer: object,
): Write => ({
  put: {
    ...keys.request(accountId, mac),
    request,
    // The answer may show a secret, so it is readable only with the deployment's own secret.
    answer: deps.keyring.seal('seal:answer', `${accountId} ${mac}`, JSON.stringify(answer)),
    ...ttlAt(deps.clock.nowMs() + keptMs),
  },
  if: expr`attribute_not_exists(pk) OR #ttl <= ${Math.floor(deps.clock.nowMs() / 1000)}`,
})

const UNREADABLE =
  'This request has taken effect, but its answer can no longer be shown. Look at what it has made, and send another request with another key.'

/**
 * The stored answer of a named request; undefined if the request is new.
 * @throws DomainError `idempotency_key_reused` if the key belongs to another request
 */
export async function earlierAnswer(
  deps: Deps<'table' | 'keyring'>,
  accountId: string,
  sent: NamedRequest | undefined,
): Promise<unknown> {
  const item = sent && (await deps.table.get(keys.request(accountId, sent.mac)))
  if (!item) return undefined
  const { request, ttl, answer } = z.parse(answerSchema, item)
  // DynamoDB may delete an item long after its expiry.
  if (ttl * 1000 <= deps.clock.nowMs()) return undefined
  if (request !== sent.request || answer === undefined) throw new DomainError('idempotency_key_reused')
  const shown = deps.keyring.open('seal:answer', `${accountId} ${sent.mac}`, answer)
  if (shown === undefined) throw new DomainError('idempotency_key_reused', { detail: UNREADABLE })
  return JSON.parse(shown)
}
