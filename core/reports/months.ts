import { readAccount } from '../account/account.ts'
import type { Deps } from '../ports.ts'
import { expr } from '../table/expression.ts'
import { accountIdIn, MONTH_KEPT_MS, monthKey, ttlAt } from '../table/keys.ts'
import type { Write } from '../table/table.ts'
import { DAY_MS } from '../time.ts'

/**
 * By what the accounts of a month are ordered: units used, times that an account ran out of units, or money paid in one
 * currency (ISO 4217), in its minor unit.
 */
export type Measure = 'used' | 'refused' | `paid:${string}`

/** The month of a day (days since 1970, UTC), such as 2026-11. */
export const monthOfDay = (day: number): string => new Date(day * DAY_MS).toISOString().slice(0, 7)

/** The list of a month's accounts. In it the greatest id has most. */
const listOf = (month: string, measure: Measure): string => `top:${month}:${measure}`

/** Digits of a value in the index, which orders texts. */
const DIGITS = 15
/** Whoever has more is listed with so much. */
const MOST = 10 ** DIGITS - 1

/**
 * The write that adds to what an account has in a month, and to its place among the others, for the transaction that
 * counts something once. Its condition fails if another run has added to the same.
 */
export async function monthWrites(
  deps: Deps<'table'>,
  accountId: string,
  month: string,
  adds: Partial<Record<Measure, number>>,
): Promise<Write[]> {
  const writes = Object.entries(adds).map(async ([name, by]): Promise<Write[]> => {
    const measure = name as Measure
    const key = monthKey(accountId, month, measure)
    const before = Number((await deps.table.get(key))?.value ?? 0)
    const value = before + (by ?? 0)
    if (value === before) return []
    const place = {
      status: listOf(month, measure),
      id: `${String(Math.min(value, MOST)).padStart(DIGITS, '0')}#${accountId}`,
    }
    return [
      {
        put: { ...key, value, ...place, ...ttlAt(deps.clock.nowMs() + MONTH_KEPT_MS) },
        if: before === 0 ? expr`attribute_not_exists(pk)` : expr`#value = ${before}`,
      },
    ]
  })
  return (await Promise.all(writes)).flat()
}

/** An account and what it has of a measure. */
export interface TopAccount {
  accountId: string
  username: string
  value: number
}

/**
 * The accounts that have most of a measure in a month, the first one most. One Query of the index, and a read for each
 * account that is shown.
 */
export async function readTop(
  deps: Deps<'table' | 'listing'>,
  month: string,
  measure: Measure,
  limit: number,
): Promise<TopAccount[]> {
  const found = await deps.listing.listed(listOf(month, measure), ['0', ':'], limit)
  return Promise.all(
    found.map(async (entry) => {
      const accountId = accountIdIn(entry)
      const account = await readAccount(deps, accountId)
      return { accountId, username: account?.username ?? '', value: Number(entry.id.slice(0, DIGITS)) }
    }),
  )
}
