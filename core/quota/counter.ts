import * as z from 'zod/mini'
import { DomainError } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { attr, type Expression, expr, join } from '../table/expression.ts'
import { dueAt, keys } from '../table/keys.ts'
import type { Item } from '../table/table.ts'
import { isLiveKey, type KeyCaller, wrongKey } from './key-caller.ts'
import { keyHashAttribute, keyUseAttribute } from './quota.ts'
import { balanceParts, crossedThresholds } from './thresholds.ts'

/** The whole hot counter as one who spends sees it; its attributes are explained in `quota.ts`. */
const counterSchema = z.object({
  l: z.number(),
  f: z.number(),
  q: z.number(),
  s: z.number(),
  u: z.number(),
  d: z.number(),
  m: z.number(),
  g: z.number(),
  o: z.number(),
  x: z.optional(z.enum(['deactivated', 'suspended'])),
  a: z.optional(z.set(z.instanceof(Uint8Array))),
})

export interface Counter extends z.infer<typeof counterSchema> {
  /** Entries of recent request ids. */
  ring: ReadonlySet<Uint8Array>
  /** As stored. */
  item: Item
}

/** Reads a stored counter. @throws DomainError `unauthorized` if there is none: no account has this key. */
export function parseCounter(item: Item | undefined): Counter {
  if (!item) throw wrongKey()
  const parsed = z.parse(counterSchema, item)
  return { ...parsed, ring: parsed.a ?? new Set(), item }
}

export const readCounter = async (deps: Deps<'table'>, accountId: string): Promise<Counter> =>
  parseCounter(await deps.table.get(keys.quota(accountId)))

/** Units left. */
export const balanceOf = ({ l, f }: Pick<Counter, 'l' | 'f'>): number => l + f

/** @throws DomainError `unauthorized`, `account_deactivated`, `account_suspended` */
export function requireAdmitted(counter: Counter, caller: KeyCaller): void {
  if (!isLiveKey(counter.item, caller)) throw wrongKey()
  if (counter.x !== undefined) throw new DomainError(`account_${counter.x}`)
}

export const inRing = ({ ring }: Pick<Counter, 'ring'>, entry: Uint8Array): boolean =>
  [...ring].some((each) => Buffer.compare(each, entry) === 0)

export interface Spending {
  caller: KeyCaller
  /** At least 1. */
  units: number
  /** The day (UTC, since 1970) that they are counted for, or a later one. */
  today: number
  /** Ids that must not be in the ring. */
  ids: readonly Uint8Array[]
  /** What is added to the ring. */
  entries: readonly Uint8Array[]
  /** Why none of the ids can be in the archive. */
  fence: readonly Expression[]
  /** Further assignments. */
  sets?: readonly Expression[]
  /** The counter as it was last seen; without it the units must fit above the next threshold. */
  seen?: Counter | undefined
  nowMs: number
}

/** The one write that spends: key, block, balance, thresholds, day, ids and counters in one condition. */
export function spendUpdate(spending: Spending): { set: Expression; condition: Expression } {
  const { caller, units, today, ids, entries, fence, seen } = spending
  const step = seen && units > seen.l ? crossingSpend(spending, seen) : ordinarySpend(units)
  const key = attr(keyHashAttribute(caller.slot))
  const adds = [expr`#u ${units}`, expr`${attr(keyUseAttribute(caller.slot))} ${units}`]
  if (entries.length > 0) adds.push(expr`#a ${new Set(entries)}`)
  const conditions = [
    expr`${key} = ${caller.hash}`,
    expr`attribute_not_exists(#x)`,
    expr`#d >= ${today}`,
    ...step.conditions,
    ...fence,
  ]
  // One NOT for all: DynamoDB takes 300 operators in an expression, and a batch has 100 ids.
  const known = ids.map((id) => expr`contains(#a, ${id})`)
  if (known.length > 0) conditions.push(join([expr`NOT (`, join(known, ' OR '), expr`)`], ''))
  const sets = [...step.sets, ...(spending.sets ?? [])]
  return {
    set: join([join([expr`SET `, join(sets, ', ')], ''), join(adds, ', ')], ' ADD '),
    condition: join(conditions, ' AND '),
  }
}

const ordinarySpend = (units: number) => ({
  sets: [expr`#l = #l - ${units}`],
  conditions: [expr`#l >= ${units}`],
})

/** Moves the floor and leaves the marks. Of all who see the same threshold ahead, one alone can do it. */
function crossingSpend({ caller, units, nowMs }: Spending, { l, f, q, s }: Counter) {
  const { floor } = balanceParts(l + f - units, q)
  const { notice, renewal } = crossedThresholds(f, floor, q)
  const sets = [expr`#f = ${floor}`, expr`#l = #l + ${f - floor - units}`]
  if (notice) sets.push(expr`#n = ${nowMs}`)
  if (renewal) sets.push(expr`#r = if_not_exists(#r, ${0}) + ${1}`)
  if (notice || renewal) {
    const { due, dueAtMs } = dueAt('QUOTA', caller.accountId, nowMs)
    sets.push(expr`#due = if_not_exists(#due, ${due}), #dueAtMs = if_not_exists(#dueAtMs, ${dueAtMs})`)
  }
  return {
    sets,
    conditions: [
      expr`#f = ${f} AND #s = ${s} AND #q = ${q}`,
      expr`#l >= ${units - f + floor} AND #l < ${units}`,
    ],
  }
}
