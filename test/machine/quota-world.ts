import type { Account } from '../../core/account/account.ts'
import { reactivate } from '../../core/account/reactivate.ts'
import { randomIds } from '../../core/adapters/ids.ts'
import { DomainError } from '../../core/errors.ts'
import { keyHash, keyIdOf, newKeyText, SERVICE_SLOT } from '../../core/keys/key-text.ts'
import { type KeyLimits, keyStamp } from '../../core/keys/settings.ts'
import { grantUnits } from '../../core/ledger/change-units.ts'
import { grantMonthly } from '../../core/plans/grant-monthly.ts'
import { monthlyDue } from '../../core/plans/monthly.ts'
import type { Ports } from '../../core/ports.ts'
import { chooseAlerts } from '../../core/quota/alerts.ts'
import { applyLedger, moveBalance } from '../../core/quota/apply-ledger.ts'
import { type BatchRequest, consumeBatch } from '../../core/quota/batch.ts'
import { consumeUnits } from '../../core/quota/consume.ts'
import { expireLots } from '../../core/quota/expire-lots.ts'
import { expireReservations } from '../../core/quota/expire-reservations.ts'
import { consumeTogether } from '../../core/quota/group-commit.ts'
import { limitChange } from '../../core/quota/limit-change.ts'
import {
  keyArrivalAttribute,
  keyHashAttribute,
  keyTakenAttribute,
  newQuota,
  parseQuota,
} from '../../core/quota/quota.ts'
import { reportLease } from '../../core/quota/report-lease.ts'
import type { Unreported } from '../../core/quota/reservation.ts'
import { reserveUnits } from '../../core/quota/reserve.ts'
import { setAlerts } from '../../core/quota/set-alerts.ts'
import { settleReservation } from '../../core/quota/settle-reservation.ts'
import { balanceParts, thresholdAbove } from '../../core/quota/thresholds.ts'
import { attr, expr, join, setRemove, unchangedSince } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import { ConditionFailed, type Item, type Table } from '../../core/table/table.ts'
import { keyringOf } from '../support/keyrings.ts'
import { silentLog } from '../support/log.ts'
import { watchAlerts } from './alert-watch.ts'
import { breaking, WHOLE_RUN } from './faults.ts'
import { memoryTable } from './memory-table.ts'

export const START_MS = Date.UTC(2026, 10, 21, 12)

/** The HTTP status 200 or 402, or the error code of another refusal. */
export type Told = 200 | 402 | string

/** The functions under test; a test can replace them with functions that have a planted bug. */
export const quotaFunctions = {
  consumeUnits,
  consumeTogether,
  consumeBatch,
  applyLedger,
  reserveUnits,
  settleReservation,
  reportLease,
  expireReservations,
  expireLots,
  limitChange,
  setAlerts,
  grantUnits,
  grantMonthly,
  monthlyDue,
  reactivate,
}
export type QuotaFunctions = typeof quotaFunctions

/** One account with a counter and keys, in a table in memory by default. */
export async function openQuotaWorld({
  left = 1000,
  size = 0,
  keyCount = 1,
  /** Alerts of the owner, all of them armed. */
  alerts = undefined as readonly number[] | undefined,
  watched = watchAlerts(),
  table = memoryTable([], watched.watch) as Table,
  functions = quotaFunctions,
  /** By slot. */
  limits = [] as readonly KeyLimits[],
} = {}) {
  let nowMs = START_MS
  const clock = {
    nowMs: () => nowMs,
    wait: () => new Promise<void>((resolve) => setImmediate(resolve)),
  }
  const ids = randomIds(clock)
  const ring = keyringOf('5'.repeat(64))
  /** How often a renewal was started. */
  let started = 0
  const renewals = {
    start: async () => {
      started += 1
    },
  }
  const ports = { clock, ids, log: silentLog, table, keyring: ring, renewals } as Partial<Ports> as Ports
  const accountId = ids.accountId()
  const texts = Array.from({ length: keyCount }, (_, slot) => newKeyText(ports, accountId, slot))
  const revisionOf = (slot: number) => (limits[slot] ? 1 : 0)
  const hashes = texts.map((text, slot) => [
    keyHashAttribute(slot),
    keyStamp(keyHash(text), revisionOf(slot)),
  ])
  const i = alerts && chooseAlerts(undefined, alerts, left, size)
  const { left: l, floor: f } = balanceParts(left, { size, alerts: i })
  await table.put({
    ...newQuota(accountId, Buffer.alloc(12), nowMs),
    ...Object.fromEntries(hashes),
    ...Object.fromEntries(
      limits.flatMap(({ budget, rate }, slot) => [
        ...(budget ? [[keyTakenAttribute(slot), 0]] : []),
        ...(rate ? [[keyArrivalAttribute(slot), 0]] : []),
      ]),
    ),
    l,
    f,
    q: size,
    s: 1,
    ...(i && { i }),
  })

  // The default key has an item only if it has settings.
  for (const [slot, text] of texts.entries())
    if (slot > 0 || limits[slot]) {
      const id = keyIdOf(accountId, slot)
      const shown = { prefix: '', last4: '', createdAtMs: nowMs }
      const settings = limits[slot] && { revision: revisionOf(slot), settings: limits[slot] }
      const hash = keyHash(text)
      await table.put({
        ...keys.key(accountId, id),
        id,
        name: `key ${slot}`,
        slot,
        hash,
        ...shown,
        ...settings,
      })
    }

  /** The key in a slot, or the account as a service names it. */
  const keyAt = (slot: number) => (slot === SERVICE_SLOT ? { accountId } : (texts[slot] ?? ''))
  let made = 0
  const world = {
    accountId,
    ports,
    functions,
    table,
    keys: texts,
    advance: (ms: number) => {
      nowMs += ms
    },
    nowMs: () => nowMs,
    started: () => started,
    /** A new UUIDv7 whose time is `offsetMs` from now. */
    timed: (offsetMs = 0): string => {
      made += 1
      const time = (nowMs + offsetMs).toString(16).padStart(12, '0')
      return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-${made.toString(16).padStart(12, '0')}`
    },
    counter: async (): Promise<Item> => (await table.get(keys.quota(accountId))) ?? {},
    /** Consumes `units` through these ports. @returns the answer. */
    spend: (
      units: number,
      requestId?: string,
      { through = ports, slot = 0 }: { through?: Ports; slot?: number } = {},
    ): Promise<Told> =>
      functions.consumeUnits(through, keyAt(slot), { units, requestId }).then(() => 200 as const, toldOf),
    /** Consumes `units` as `spend` does, together with others that come at the same time through these ports. */
    spendTogether: (
      units: number,
      requestId?: string,
      { through = ports, slot = 0 }: { through?: Ports; slot?: number } = {},
    ): Promise<Told> =>
      functions.consumeTogether(through, keyAt(slot), { units, requestId }).then(() => 200 as const, toldOf),
    batch: async (
      requests: readonly BatchRequest[],
      { through = ports, slot = 0 }: { through?: Ports; slot?: number } = {},
    ): Promise<Told[]> =>
      functions.consumeBatch(through, keyAt(slot), requests).then(
        ({ answers }) =>
          answers.map(
            ({ outcome }): Told => (outcome === 'spent' ? 200 : outcome === 'exhausted' ? 402 : outcome),
          ),
        (error) => requests.map(() => toldOf(error)),
      ),
    /** Spends one unit for each of `count` new ids, one after the other. @returns the ids. */
    fill: async (count: number): Promise<string[]> => {
      const spent: string[] = []
      for (let n = 0; n < count; n++) {
        nowMs += 1
        const id = world.timed()
        await world.spend(1, id)
        spent.push(id)
      }
      return spent
    },
    /** Reserves units through these ports. @returns the answer, and the reservation's id. */
    reserve: (
      units: number,
      {
        requestId,
        ttlSeconds = 60,
        slot = 0,
        through = ports,
      }: { requestId?: string; ttlSeconds?: number; slot?: number; through?: Ports } = {},
    ): Promise<{ told: Told; id: string }> =>
      functions.reserveUnits(through, keyAt(slot), { units, requestId, ttlSeconds }).then(
        ({ id }) => ({ told: 200 as const, id }),
        (error) => ({ told: toldOf(error), id: '' }),
      ),
    /** Settles a reservation. @returns the answer, and the units that were covered. */
    settle: (
      reservationId: string,
      units: number,
      { requestId, slot = 0, through = ports }: { requestId?: string; slot?: number; through?: Ports } = {},
    ): Promise<{ told: Told; covered: number; replayed: boolean }> =>
      functions.settleReservation(through, keyAt(slot), { reservationId, units, requestId }).then(
        ({ covered, replayed }) => ({ told: 200 as const, covered, replayed: replayed === true }),
        (error) => ({ told: toldOf(error), covered: 0, replayed: false }),
      ),
    /** Gives a key other limits, as its owner does. @returns whether no writer was first. */
    limit: async (slot: number, next: KeyLimits, through = ports): Promise<boolean> => {
      const key = keys.key(accountId, keyIdOf(accountId, slot))
      const item = (await through.table.get(key)) ?? {}
      const hash = keyHash(texts[slot] ?? '')
      const revision = Number(item.revision ?? 0)
      const stamp = attr(keyHashAttribute(slot))
      const before = (item.settings ?? {}) as KeyLimits
      try {
        const change = await functions.limitChange(through, accountId, slot, before, next)
        await through.table.transact([
          {
            put: { ...item, revision: revision + 1, settings: next },
            if: unchangedSince(item, ['revision']),
          },
          {
            update: keys.quota(accountId),
            set: setRemove(
              [expr`${stamp} = ${keyStamp(hash, revision + 1)}`, ...change.sets],
              change.removes,
            ),
            if: join([expr`${stamp} = ${keyStamp(hash, revision)}`, ...change.conditions], ' AND '),
          },
          ...change.checks,
        ])
        return true
      } catch (error) {
        if (!(error instanceof ConditionFailed)) throw error
        return false
      }
    },
    /** Takes a lease of up to `units`. @returns the answer, the lease's id and the units that it has. */
    lease: (
      units: number,
      {
        requestId,
        ttlSeconds = 60,
        slot = 0,
        unreported = 'return',
        through = ports,
      }: {
        requestId?: string
        ttlSeconds?: number
        slot?: number
        unreported?: Unreported
        through?: Ports
      } = {},
    ): Promise<{ told: Told; id: string; units: number }> =>
      functions.reserveUnits(through, keyAt(slot), { units, requestId, ttlSeconds, unreported }).then(
        ({ id, units = 0 }) => ({ told: 200 as const, id, units }),
        (error) => ({ told: toldOf(error), id: '', units: 0 }),
      ),
    /** Reports use of a lease, which is kept with up to `keep` units, or ends. */
    report: (
      leaseId: string,
      used: number,
      {
        keep = 0,
        requestId,
        slot = 0,
        ttlSeconds = 60,
        through = ports,
      }: { keep?: number; requestId?: string; slot?: number; ttlSeconds?: number; through?: Ports } = {},
    ): Promise<{ told: Told; id: string; units: number; covered: number; replayed: boolean }> =>
      functions
        .reportLease(through, keyAt(slot), {
          leaseId,
          use: [{ units: used }],
          requestId,
          ...(keep > 0 && { renewal: { units: keep, ttlSeconds } }),
        })
        .then(
          ({ id, units, covered, replayed }) => ({
            told: 200 as const,
            id,
            units,
            covered,
            replayed: replayed === true,
          }),
          (error) => ({ told: toldOf(error), id: '', units: 0, covered: 0, replayed: false }),
        ),
    /** The owner chooses alerts. */
    choose: (chosen: readonly number[], through = ports): Promise<void> =>
      functions.setAlerts(through, { id: accountId, emailVerified: true } as Account, chosen),
    /** What the owner is to be told of, in the order of the writes. */
    crossings: watched.crossings,
    /** Runs the job that returns expired reservations. */
    expire: (through = ports) => functions.expireReservations(through, WHOLE_RUN, async () => false),
    /** Adds units as `applyLedger` does, with a condition on the sequence and the floor. */
    credit: async (units: number, newSize?: number): Promise<void> => {
      for (;;) {
        const counter = await world.counter()
        const { l, f, q, s, b, w } = counter as Record<string, number>
        const size = newSize ?? q ?? 0
        const levels = { size, below: b, renewalSize: w }
        const { floor } = balanceParts((l ?? 0) + (f ?? 0) + units, levels)
        const delta = units + (f ?? 0) - floor
        try {
          if (counter.i) {
            const to = { units, size, seq: (s ?? 0) + 1 }
            const change = await moveBalance(ports, accountId, parseQuota(counter), to)
            await table.update(keys.quota(accountId), change.set, change.if)
            return
          }
          await table.update(
            keys.quota(accountId),
            expr`SET #l = #l + ${delta}, #f = ${floor}, #q = ${size}, #s = ${(s ?? 0) + 1}`,
            expr`#s = ${s} AND #f = ${f} AND #l >= ${Math.max(0, -delta)} AND #l < ${Math.min(thresholdAbove(floor, levels) - floor - delta, 1e12)}`,
          )
          return
        } catch (error) {
          if (!(error instanceof ConditionFailed)) throw error
        }
      }
    },
    applyLedger: (through = ports): Promise<void> => functions.applyLedger(through, accountId),
  }
  return world
}

export type QuotaWorld = Awaited<ReturnType<typeof openQuotaWorld>>

function toldOf(error: unknown): Told {
  if (error instanceof DomainError) return error.code === 'quota_exhausted' ? 402 : error.code
  throw error
}

/** The same ports, but `first` runs to its end before the nth call of a method of the table. */
export function interleaved(
  ports: Ports,
  method: keyof Table,
  nth: number,
  first: () => Promise<unknown>,
): Ports {
  let calls = 0
  const table = new Proxy(ports.table, {
    get: (object, name, receiver) => {
      const call = Reflect.get(object, name, receiver)
      if (name !== method || typeof call !== 'function') return call
      return async (...args: unknown[]) => {
        calls += 1
        if (calls === nth) await first()
        return call.apply(object, args)
      }
    },
  })
  return { ...ports, table }
}

/** The same ports, but every call of the table waits some turns of the event loop before and after. */
export function dawdling(ports: Ports, turns: () => number): Ports {
  const wait = async () => {
    for (let left = turns(); left > 0; left--) await new Promise((resolve) => setImmediate(resolve))
  }
  const table = new Proxy(ports.table, {
    get: (object, name, receiver) => {
      const call = Reflect.get(object, name, receiver)
      if (typeof call !== 'function') return call
      return async (...args: unknown[]) => {
        await wait()
        const result = await call.apply(object, args)
        await wait()
        return result
      }
    },
  })
  return { ...ports, table }
}

/** The names of the table's methods that `work` calls, in order. */
export async function callsOf(ports: Ports, work: (through: Ports) => Promise<unknown>): Promise<string[]> {
  const watched = breaking(ports)
  await work(watched.ports)
  return watched.calls.map((call) => call.replace(/^.*\./, ''))
}
