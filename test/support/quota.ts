import { expiryAfterDays, ledgerWrites } from '../../core/ledger/entry.ts'
import { applyLedger } from '../../core/quota/apply-ledger.ts'
import { balanceParts } from '../../core/quota/thresholds.ts'
import { expr } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import type { Item } from '../../core/table/table.ts'
import type { App } from './app.ts'
import { defaultKey } from './keys.ts'
import type { SignedInPerson } from './people.ts'
import type { TestAnswer } from './send.ts'

/** A person with units and an application key. */
export interface Consumer extends SignedInPerson {
  key: string
}

/** Makes a person with `left` units of a bundle of `size` units; `size` 0, the default, means no bundle. */
export async function newConsumer(app: App, left = 100, size = 0): Promise<Consumer> {
  const person = await app.signUp()
  await setUnits(app, person, left, size)
  return { ...person, key: await defaultKey(app, person) }
}

/** Sets the units left; `size` is the units of the account's bundle, which determine the thresholds. */
export async function setUnits(app: App, person: SignedInPerson, left: number, size = 0): Promise<void> {
  const { left: above, floor } = balanceParts(left, { size })
  const { table } = await app.ports()
  const set = expr`SET #l = ${above}, #f = ${floor}, #q = ${size}, #s = #s + ${1}`
  await table.update(keys.quota(person.accountId), set)
}

/** Credits units as a ledger entry, which expire when the day begins that is so many days from now. */
export async function creditUnits(
  app: App,
  { accountId }: SignedInPerson,
  units: number,
  days?: number,
): Promise<void> {
  const ports = await app.ports()
  const nowMs = ports.clock.nowMs()
  const seq = Number((await ports.table.get(keys.profile(accountId)))?.ledgerSeq)
  const expiresAtMs = expiryAfterDays(nowMs, days)
  await ports.table.transact([
    {
      update: keys.profile(accountId),
      set: expr`SET #ledgerSeq = ${seq + 1}`,
      if: expr`#ledgerSeq = ${seq}`,
    },
    ...ledgerWrites(accountId, seq, nowMs, [{ kind: 'grant', units, amountCents: 0, expiresAtMs }]),
  ])
  await applyLedger(ports, accountId)
}

export const consume = (app: App, key: string | undefined, json: unknown): Promise<TestAnswer> =>
  app.request('POST', '/v1/usage', { token: key, json })

export const consumeBatch = (app: App, key: string | undefined, requests: unknown): Promise<TestAnswer> =>
  app.request('POST', '/v1/usage/batch', { token: key, json: { requests } })

export async function counterOf(app: App, { accountId }: SignedInPerson): Promise<Item> {
  return (await (await app.ports()).table.get(keys.quota(accountId))) ?? {}
}

let made = 0

/** A unique UUIDv7 of this moment. */
export function uuidv7(atMs = Date.now()): string {
  made += 1
  const time = atMs.toString(16).padStart(12, '0')
  return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-${made.toString(16).padStart(12, '0')}`
}

/** The size of an item in bytes as DynamoDB counts it ("Item sizes and formats"), rounded up. */
export function sizeOf(value: unknown): number {
  if (typeof value === 'string') return Buffer.byteLength(value)
  if (typeof value === 'number') return Math.ceil(String(Math.abs(value)).length / 2) + 2
  if (value instanceof Uint8Array) return value.length
  if (value instanceof Set) return 3 + [...value].reduce((sum: number, each) => sum + 1 + sizeOf(each), 0)
  if (typeof value === 'object' && value !== null)
    return Object.entries(value).reduce((sum, [name, each]) => sum + sizeOf(name) + sizeOf(each), 0)
  return 1
}

/** A counter without the note that units ran out, which the first refusal leaves so that other systems hear of it. */
export const withoutNote = ({ kx: _, nx: __, due: ___, dueAtMs: ____, ...counter }: Item): Item => counter
