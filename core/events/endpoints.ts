import { isDeepStrictEqual } from 'node:util'
import * as z from 'zod/mini'
import { auditWrites } from '../audit/entry.ts'
import { DomainError } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { resealed } from '../rotation.ts'
import { expr, setRemove, unchangedSince } from '../table/expression.ts'
import { ENDPOINTS, eventEndpointKey } from '../table/keys.ts'
import { retryRaces } from '../table/race.ts'
import { HOUR_MS } from '../time.ts'

type EndpointDeps = Deps<'table' | 'keyring'>

const endpointSchema = z.object({
  id: z.string(),
  url: z.string(),
  /** The types that it gets; all types if there are none. */
  types: z.array(z.string()),
  enabled: z.boolean(),
  createdAtMs: z.number(),
  /** The secret that signs, sealed by the keyring; and the one before, which signs too until `untilMs`. */
  secret: z.string(),
  previous: z.optional(z.object({ secret: z.string(), untilMs: z.number() })),
  /** Since when every delivery has failed, epoch ms; absent while they arrive. */
  failingSinceMs: z.optional(z.number()),
  /** When Bursar has disabled it after days of failures, epoch ms. */
  disabledAtMs: z.optional(z.number()),
  /** Grows with each change by an operator, so that no change undoes another one. */
  revision: z.number(),
})

/** An HTTPS endpoint of the operator that gets events, as stored. */
export type EventEndpoint = z.infer<typeof endpointSchema>

/** An endpoint as its operators see it: without secrets. */
export type ListedEndpoint = Omit<EventEndpoint, 'secret' | 'previous' | 'revision'>

const PURPOSE = 'seal:event-endpoint'

/** For so long after a rotation the old secret signs as well. */
const GRACE_MS = 24 * HOUR_MS

/** Most endpoints of a deployment: each event of each account is sent to all of them. */
const MOST_ENDPOINTS = 20

const listedEndpoint = ({ secret: _, previous: __, revision: ___, ...listed }: EventEndpoint) => listed

/** Every endpoint. */
export async function readEndpoints(deps: Deps<'table'>): Promise<EventEndpoint[]> {
  return (await deps.table.list(ENDPOINTS, '')).map((item) => z.parse(endpointSchema, item))
}

export const listEndpoints = async (deps: Deps<'table'>): Promise<ListedEndpoint[]> =>
  (await readEndpoints(deps)).map(listedEndpoint)

export async function readEndpoint(deps: Deps<'table'>, id: string): Promise<EventEndpoint | undefined> {
  const item = await deps.table.get(eventEndpointKey(id))
  return item && z.parse(endpointSchema, item)
}

/**
 * The secrets that sign now, the newest first, in the form `whsec_…` of Standard Webhooks. None is left if the root secret
 * is lost with which they were sealed; then the endpoint needs a new one, by `rotateEndpoint`.
 */
export const secretsOf = (deps: EndpointDeps, { id, secret, previous }: EventEndpoint): string[] =>
  [secret, ...(previous && previous.untilMs > deps.clock.nowMs() ? [previous.secret] : [])].flatMap(
    (sealed) => deps.keyring.open(PURPOSE, id, sealed) ?? [],
  )

/**
 * Seals the secrets of all endpoints with the root secret in use. Whoever changes an endpoint meanwhile goes first.
 * @throws ConditionFailed if somebody does
 */
export async function resealEndpoints(deps: EndpointDeps): Promise<void> {
  for (const { id, secret, previous } of await readEndpoints(deps)) {
    const fresh = resealed(deps, PURPOSE, id, secret)
    const before = previous && resealed(deps, PURPOSE, id, previous.secret)
    if (fresh === undefined && before === undefined) continue
    const sets = [
      ...(fresh === undefined ? [] : [expr`#secret = ${fresh}`]),
      ...(before === undefined ? [] : [expr`#previous.#secret = ${before}`]),
    ]
    await deps.table.update(eventEndpointKey(id), setRemove(sets, []), expr`#secret = ${secret}`)
  }
}

/** 256 random bits. */
const newSecret = (deps: Deps): string => `whsec_${Buffer.from(deps.ids.hex(32), 'hex').toString('base64')}`

/**
 * Makes an endpoint. Only this answer shows its secret.
 * @throws DomainError `invalid_request` for an address that gets no events; `conflict` if there are too many
 */
export async function addEndpoint(
  deps: EndpointDeps & Deps<'hooks'>,
  { url, types, reason }: { url: string; types: readonly string[]; reason: string },
): Promise<{ endpoint: ListedEndpoint; secret: string }> {
  requireTarget(deps, url)
  if ((await readEndpoints(deps)).length >= MOST_ENDPOINTS)
    throw new DomainError('conflict', { detail: `There are ${MOST_ENDPOINTS} endpoints already.` })
  const id = deps.ids.accountId()
  const secret = newSecret(deps)
  const createdAtMs = deps.clock.nowMs()
  const sealed = deps.keyring.seal(PURPOSE, id, secret)
  const endpoint: EventEndpoint = {
    ...{ id, url, types: [...types], enabled: true, createdAtMs, secret: sealed, revision: 1 },
  }
  await deps.table.transact([
    { put: { ...eventEndpointKey(id), ...endpoint }, if: expr`attribute_not_exists(pk)` },
    ...auditWrites(deps, { action: 'operator.endpoint_added', reason, after: { endpoint: id, url } }),
  ])
  return { endpoint: listedEndpoint(endpoint), secret }
}

/** What an operator changes of an endpoint. What is undefined stays. */
export interface EndpointChange {
  url?: string | undefined
  types?: readonly string[] | undefined
  enabled?: boolean | undefined
}

/** What a change or a rotation may change. */
const CHANGING = ['url', 'types', 'enabled', 'failingSinceMs', 'disabledAtMs', 'secret'] as const

/**
 * Changes an endpoint. To enable it forgets earlier failures; what waited or failed meanwhile comes by a replay. One that
 * is so already stays as it is, so that a repeat of the request does nothing.
 * @throws DomainError `not_found`, `conflict`; `invalid_request` for an address that gets no events
 */
export async function changeEndpoint(
  deps: EndpointDeps & Deps<'hooks'>,
  id: string,
  change: EndpointChange,
  reason: string,
): Promise<ListedEndpoint> {
  if (change.url !== undefined) requireTarget(deps, change.url)
  return writeEndpoint(deps, id, 'operator.endpoint_changed', reason, (before) => {
    const { failingSinceMs, disabledAtMs, ...rest } = before
    const { url = before.url, types = before.types, enabled = before.enabled } = change
    const kept = change.enabled ? {} : { failingSinceMs, disabledAtMs }
    return { ...rest, ...kept, url, types: [...types], enabled }
  }).then(listedEndpoint)
}

/**
 * Gives an endpoint another secret, which only this answer shows. The old one signs as well for a day, and the one before
 * that no more.
 * @throws DomainError `not_found`, `conflict`
 */
export async function rotateEndpoint(
  deps: EndpointDeps,
  id: string,
  reason: string,
): Promise<{ endpoint: ListedEndpoint; secret: string; oldUntilMs: number }> {
  const secret = newSecret(deps)
  const untilMs = deps.clock.nowMs() + GRACE_MS
  const endpoint = await writeEndpoint(deps, id, 'operator.endpoint_rotated', reason, (before) => ({
    ...before,
    secret: deps.keyring.seal(PURPOSE, id, secret),
    previous: { secret: before.secret, untilMs },
  }))
  return { endpoint: listedEndpoint(endpoint), secret, oldUntilMs: untilMs }
}

function writeEndpoint(
  deps: EndpointDeps,
  id: string,
  action: 'operator.endpoint_changed' | 'operator.endpoint_rotated',
  reason: string,
  change: (before: EventEndpoint) => EventEndpoint,
): Promise<EventEndpoint> {
  return retryRaces(deps, async () => {
    const before = await readEndpoint(deps, id)
    if (!before) throw new DomainError('not_found')
    const changed = change(before)
    const hasNews = CHANGING.some((name) => !isDeepStrictEqual(changed[name], before[name]))
    if (!hasNews) return before
    const after = { ...changed, revision: before.revision + 1 }
    await deps.table.transact([
      { put: { ...eventEndpointKey(id), ...after }, if: unchangedSince(before, ['revision']) },
      ...auditWrites(deps, { action, reason, before: saidOf(before), after: saidOf(after) }),
    ])
    return after
  })
}

/** What the audit log says of an endpoint. */
const saidOf = ({ id, url, types, enabled }: EventEndpoint) => ({
  endpoint: id,
  url,
  types: types.join(' '),
  enabled,
})

function requireTarget(deps: Deps<'hooks'>, url: string): void {
  if (deps.hooks.permits(url)) return
  const message = 'must be an https address of the public internet, without a user name'
  throw new DomainError('invalid_request', { fields: [{ field: 'url', message }] })
}
